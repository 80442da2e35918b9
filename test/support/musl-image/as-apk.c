// Does in the working directory what apk does with the files of a package, and runs a script as it does.
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHER = 33 };

static void must(int result, const char *what) {
    if (result == 0)
        return;
    perror(what);
    exit(EXIT_FAILURE);
}

static void extract(void) {
    const char *name = ".apk.program";
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd < 0, "open");
    must(fchown(fd, OTHER, OTHER), "fchown");
    must(fchmod(fd, 04755), "fchmod");
    must(close(fd), "close");
    must(renameat(AT_FDCWD, name, AT_FDCWD, "program"), "renameat");

    must(symlinkat("program", AT_FDCWD, "link"), "symlinkat");
    must(fchownat(AT_FDCWD, "link", OTHER, OTHER, AT_SYMLINK_NOFOLLOW), "fchownat");
    must(lchown("link", OTHER, OTHER), "lchown");

    must(mkdirat(AT_FDCWD, "spool", 0700), "mkdirat");
    must(chown("spool", 0, OTHER), "chown");
    must(fchmodat(AT_FDCWD, "spool", 02775, 0), "fchmodat");

    must(mknodat(AT_FDCWD, "null", S_IFCHR | 0666, makedev(1, 3)), "mknodat of a device");
    must(mknodat(AT_FDCWD, "fifo", S_IFIFO | 0600, 0), "mknodat of a FIFO");
}

static void run_script(void) {
    const gid_t groups[] = {OTHER};
    must(chdir("/"), "chdir");
    must(chroot("."), "chroot");
    must(setgroups(1, groups), "setgroups");
    must(setgid(OTHER), "setgid");
    must(setuid(OTHER), "setuid");
    execl("/bin/sh", "sh", "-ec", "touch /etc/of-the-script; echo script of $(id -u)", (char *)NULL);
    must(-1, "execl");
}

int main(void) {
    extract();
    const pid_t script = fork();
    must(script < 0, "fork");
    if (script == 0)
        run_script();
    int status;
    must(waitpid(script, &status, 0) != script, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
