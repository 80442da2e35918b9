#ifndef STOWAGE_ADDON_UNIX_SOCKET_H
#define STOWAGE_ADDON_UNIX_SOCKET_H

#include <napi.h>

// peerCredentials(socketFd) -> { pid, uid, gid } as they were when the peer connected.
Napi::Value PeerCredentials(const Napi::CallbackInfo &info);

// sendDescriptors(socketFd, byte, fds) sends one byte with the descriptors attached; throws EAGAIN rather
// than wait. The caller keeps its descriptors.
Napi::Value SendDescriptors(const Napi::CallbackInfo &info);

#endif
