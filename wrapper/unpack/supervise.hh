// Runs the dangerous part in a child and says in words how it ended.
#pragma once

#include <cstdint>
#include <functional>

namespace stowage {

// Forks, runs `work` in the child and returns the exit status for this process: the child's own, or one
// that fits the signal that ended it, with a sentence on standard error. Neither outlives the caller's
// process. `max_seconds` is the processor time that `work` allows itself, 0 for none.
int supervise(uint64_t max_seconds, const std::function<int()> &work);

} // namespace stowage
