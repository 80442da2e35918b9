#ifndef STOWAGE_ADDON_UNIX_SOCKET_H
#define STOWAGE_ADDON_UNIX_SOCKET_H

#include <napi.h>

// peerCredentials(socketFd) -> { pid, uid, gid } as they were when the peer connected.
Napi::Value PeerCredentials(const Napi::CallbackInfo &info);

// sendDescriptors(socketFd, byte, fds) sends one byte with the descriptors attached; throws EAGAIN rather
// than wait. The caller keeps its descriptors.
Napi::Value SendDescriptors(const Napi::CallbackInfo &info);

// unreceivedBytes(socketFd) -> bytes that were sent and that the peer has not received; 0 once it has closed.
Napi::Value UnreceivedBytes(const Napi::CallbackInfo &info);

// sendDatagram(address, text) sends one datagram to the unix socket at that path or, after an "@", with that
// abstract name; throws EAGAIN rather than wait for somebody who does not read.
Napi::Value SendDatagram(const Napi::CallbackInfo &info);

#endif
