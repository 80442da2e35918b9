#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace stowage {

namespace {

constexpr uint64_t megabyte = 1000 * 1000;
constexpr char remedy[] =
    "; run on another node, use a smaller image, or ask the administrator to enlarge it";

std::string at_least(uint64_t needed_bytes) {
    const uint64_t megabytes = std::max<uint64_t>(1, (needed_bytes + megabyte - 1) / megabyte);
    return " (needed at least " + std::to_string(megabytes) + " MB more)";
}

} // namespace

void refuse_image(const std::string &sentence) {
    throw Refusal(Fault::image, sentence);
}

void fail_with(int error, const std::string &subject, uint64_t needed_bytes) {
    switch (error) {
    case ENOSPC:
        throw Refusal(Fault::node, "the tree store on this node is full" + at_least(needed_bytes) + remedy);
    case EDQUOT:
        throw Refusal(Fault::node,
                      "your quota on this node's tree store is used up" + at_least(needed_bytes) + remedy);
    case ENOMEM:
        throw Refusal(Fault::node, subject +
                                       ": this job's memory is used up; images are unpacked into memory "
                                       "that counts for the job, so ask for more with --mem");
    case ENAMETOOLONG:
        refuse_image(subject + ": the name or link target is longer than Linux allows; rebuild the image");
    case EFBIG:
        refuse_image(subject + ": the file is larger than the tree store allows");
    default:
        throw Refusal(Fault::node, subject + ": " + strerror(error));
    }
}

void fail_to_make(int error, const std::string &subject) {
    if (error == ENOSPC || error == EDQUOT)
        throw Refusal(Fault::node,
                      std::string("the tree store on this node can take no more files") + remedy);
    fail_with(error, "cannot make " + subject);
}

} // namespace stowage
