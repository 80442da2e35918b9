// Runs the dangerous part in a child and says in words how it ended.
#pragma once

#include <functional>

namespace stowage {

// Forks, runs `work` in the child and returns the exit status for this process: the child's own, or one
// that fits the signal that ended it, with a sentence on standard error. Neither outlives the caller's
// process.
int supervise(const std::function<int()> &work);

} // namespace stowage
