#include "become_user.h"
#include "cleanup.h"

#include <fcntl.h>
#include <grp.h>

int become_user(uid_t uid, gid_t gid) {
    // Only root may write here once the process executes a program that its user cannot read. Where there is
    // no such file there is nothing to give up.
    cleanup_close int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "0", 1) != 1)
        return -1;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return -1;
    return 0;
}
