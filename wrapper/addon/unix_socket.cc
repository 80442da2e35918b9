#include "unix_socket.h"

#include "arguments.h"
#include "system_error.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

Napi::Value PeerCredentials(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const int socket = DescriptorArgument(info, 0);
    ucred peer = {};
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        throw SystemError(env, errno, "getsockopt");
    }
    // The kernel answers pid 0 and uid -1 for a socket that has no peer instead of failing.
    if (length != sizeof(peer) || peer.uid == static_cast<uid_t>(-1)) {
        throw SystemError(env, ENOTCONN, "getsockopt");
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("pid", Napi::Number::New(env, peer.pid));
    result.Set("uid", Napi::Number::New(env, peer.uid));
    result.Set("gid", Napi::Number::New(env, peer.gid));
    return result;
}

Napi::Value SendDescriptors(const Napi::CallbackInfo &info) {
    // SCM_MAX_FD of the kernel.
    constexpr uint32_t kMaxDescriptors = 253;
    const Napi::Env env = info.Env();
    const int socket = DescriptorArgument(info, 0);
    if (!info[1].IsNumber() || !info[2].IsArray()) {
        throw Napi::TypeError::New(env, "sendDescriptors(socketFd, byte, fds)");
    }
    unsigned char byte = static_cast<unsigned char>(info[1].As<Napi::Number>().Uint32Value());
    const Napi::Array list = info[2].As<Napi::Array>();
    if (list.Length() == 0 || list.Length() > kMaxDescriptors) {
        throw SystemError(env, EINVAL, "sendmsg");
    }
    std::vector<int> descriptors;
    for (uint32_t i = 0; i < list.Length(); i++) {
        const Napi::Value entry = list.Get(i);
        if (!entry.IsNumber()) {
            throw Napi::TypeError::New(env, "sendDescriptors: fds must be numbers");
        }
        descriptors.push_back(entry.As<Napi::Number>().Int32Value());
    }

    const size_t payload = descriptors.size() * sizeof(int);
    std::vector<unsigned char> control(CMSG_SPACE(payload));
    iovec data = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(payload);
    std::memcpy(CMSG_DATA(header), descriptors.data(), payload);

    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent != 1) {
        throw SystemError(env, sent < 0 ? errno : EIO, "sendmsg");
    }
    return env.Undefined();
}

Napi::Value UnreceivedBytes(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    int bytes = 0;
    if (ioctl(DescriptorArgument(info, 0), SIOCOUTQ, &bytes) != 0) {
        throw SystemError(env, errno, "ioctl");
    }
    return Napi::Number::New(env, bytes);
}

Napi::Value SendDatagram(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const std::string address = PathArgument(info, 0);
    if (!info[1].IsString()) {
        throw Napi::TypeError::New(env, "sendDatagram(address, text)");
    }
    const std::string text = info[1].As<Napi::String>().Utf8Value();
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    if (address.size() >= sizeof(to.sun_path)) {
        throw SystemError(env, ENAMETOOLONG, "sendto", address);
    }
    std::memcpy(to.sun_path, address.data(), address.size());
    // An abstract name begins with a NUL and ends where the address does, unix(7).
    const bool is_abstract = address.front() == '@';
    if (is_abstract) {
        to.sun_path[0] = '\0';
    }
    const size_t length = offsetof(sockaddr_un, sun_path) + address.size() + (is_abstract ? 0 : 1);

    const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0) {
        throw SystemError(env, errno, "socket");
    }
    ssize_t sent;
    do {
        sent = sendto(socket_fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                      reinterpret_cast<const sockaddr *>(&to), static_cast<socklen_t>(length));
    } while (sent < 0 && errno == EINTR);
    const int problem = errno;
    close(socket_fd);
    if (sent < 0) {
        throw SystemError(env, problem, "sendto", address);
    }
    return env.Undefined();
}
