#include "digest_writer.h"
#include "file_system.h"
#include "heap.h"
#include "sync_directory.h"
#include "unix_socket.h"

static Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
    exports.Set("peerCredentials", Napi::Function::New(env, PeerCredentials, "peerCredentials"));
    exports.Set("sendDescriptors", Napi::Function::New(env, SendDescriptors, "sendDescriptors"));
    exports.Set("unreceivedBytes", Napi::Function::New(env, UnreceivedBytes, "unreceivedBytes"));
    exports.Set("sendDatagram", Napi::Function::New(env, SendDatagram, "sendDatagram"));
    exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
    exports.Set("openTemporary", Napi::Function::New(env, OpenTemporary, "openTemporary"));
    exports.Set("syncDirectory", Napi::Function::New(env, SyncDirectory, "syncDirectory"));
    exports.Set("trimHeap", Napi::Function::New(env, TrimHeap, "trimHeap"));
    exports.Set("DigestWriter", DigestWriter::Define(env));
    exports.Set("linkTemporary", Napi::Function::New(env, LinkTemporary, "linkTemporary"));
    return exports;
}

NODE_API_MODULE(stowage_addon, Initialize)
