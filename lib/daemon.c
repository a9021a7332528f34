/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/daemon.h"

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
print_help(const char *program, const char *purpose)
{
    printf("usage: %s [-c FILE] [-f] [-d] [-P FILE] [-t]\n"
           "%s\n\n"
           "  -c FILE  configuration (default: %s)\n"
           "  -f       stay in the foreground, log to standard error\n"
           "  -d       log what helps to find faults in the program, too\n"
           "  -P FILE  write the process id there\n"
           "  -t       check the configuration and exit\n"
           "  -h, --help, -V, --version\n",
           program, purpose, CONF_FILE);
}

bool
daemon_options(int argc, char **argv, const char *program, const char *purpose,
               struct daemon_options *ret_options, int *ret_status)
{
    static const struct option longer[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    static char path[PATH_MAX];
    struct daemon_options options = {.file = CONF_FILE};
    int c;

    while ((c = getopt_long(argc, argv, "c:fdP:thV", longer, NULL)) != -1) {
        switch (c) {
        case 'c':
            options.file = optarg;
            break;
        case 'f':
            options.foreground = true;
            break;
        case 'd':
            options.debug = true;
            break;
        case 'P':
            options.pid_file = optarg;
            break;
        case 't':
            options.test = true;
            break;
        case 'h':
            print_help(program, purpose);
            *ret_status = 0;
            return false;
        case 'V':
            printf("%s %s\n", program, PACKAGE_VERSION);
            *ret_status = 0;
            return false;
        default:
            *ret_status = 2;
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: \"%s\" is one argument too many; see %s --help\n", program,
                argv[optind], program);
        *ret_status = 2;
        return false;
    }
    /* Going to the background changes the folder that a relative path starts from. */
    if (realpath(options.file, path) != NULL)
        options.file = path;
    *ret_options = options;
    return true;
}

int
daemon_load(const char *file, struct conf **ret_conf)
{
    struct conf_problems problems = {0};
    int r = conf_load(file, ret_conf, &problems);

    for (size_t i = 0; i < problems.count; i++) {
        if (problems.items[i].warning)
            log_warn("%s", problems.items[i].text);
        else
            log_error("%s", problems.items[i].text);
    }
    conf_problems_clear(&problems);
    return r;
}

int
daemon_secret(const struct conf *conf, struct err *err)
{
    if (!conf->secret_known)
        return err_set(err, -EACCES, "tag_secret_file: %s cannot be read", conf->tag_secret_file);
    return 0;
}

int
daemon_test(const struct conf *conf)
{
    struct daemon_user user;
    struct err err;

    if (daemon_user(conf, &user, &err) == 0 && daemon_secret(conf, &err) == 0)
        return 0;
    log_error("%s", err.msg);
    return 2;
}

static int
find_group(const char *name, gid_t *ret_gid, struct err *err)
{
    const struct group *group = getgrnam(name);

    if (group == NULL)
        return err_set(err, -ENOENT, "there is no group \"%s\"", name);
    *ret_gid = group->gr_gid;
    return 0;
}

int
daemon_user(const struct conf *conf, struct daemon_user *ret_user, struct err *err)
{
    struct daemon_user user = {.uid = geteuid(), .gid = getegid()};
    const struct passwd *entry;

    if (geteuid() != 0) {
        *ret_user = user;
        return 0;
    }
    entry = getpwnam(conf->user);
    if (entry == NULL)
        return err_set(err, -ENOENT, "user: there is no user \"%s\"; make one or name another",
                       conf->user);
    if (entry->pw_uid == 0)
        return err_set(err, -EINVAL, "user: \"%s\" is root; name a user without rights",
                       conf->user);
    user.uid = entry->pw_uid;
    user.gid = entry->pw_gid;
    user.change = true;
    snprintf(user.name, sizeof(user.name), "%s", conf->user);
    if (conf->group[0] != '\0') {
        int r = find_group(conf->group, &user.gid, err);

        if (r < 0)
            return err_add(err, r, "group");
    }
    *ret_user = user;
    return 0;
}

int
daemon_access(const struct daemon_user *user, const char *owner, const char *group, int mode,
              struct endpoint_access *ret_access, struct err *err)
{
    struct endpoint_access access = {(uid_t)-1, (gid_t)-1, (mode_t)mode};
    int r;

    if (user->change) {
        access.owner = user->uid;
        access.group = user->gid;
        if (owner[0] != '\0') {
            const struct passwd *entry = getpwnam(owner);

            if (entry == NULL)
                return err_set(err, -ENOENT, "there is no user \"%s\"", owner);
            access.owner = entry->pw_uid;
        }
    }
    if (group[0] != '\0') {
        r = find_group(group, &access.group, err);
        if (r < 0)
            return r;
    }
    *ret_access = access;
    return 0;
}

int
daemon_drop(const struct daemon_user *user, struct err *err)
{
    if (!user->change)
        return 0;
    if (initgroups(user->name, user->gid) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
        return err_set(err, -errno, "cannot become %s: %s", user->name, strerror(errno));
    if (setuid(0) == 0)
        return err_set(err, -EPERM, "became %s, but could be root again", user->name);
    return 0;
}

/* Where the parent waits for word that all went well; -1: there is none. */
static int parent = -1;

/* The parent's end: 0 once the child is ready, 1 when it ended before, and has said why. */
static _Noreturn void
wait_for_child(int fd)
{
    char byte;
    ssize_t got;

    do
        got = read(fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    _exit(got == 1 ? 0 : 1);
}

int
daemon_detach(struct err *err)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, -errno, "cannot go to the background: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN); /* the parent may be gone when we are ready */
    pid = fork();
    if (pid > 0) {
        close(ends[1]);
        wait_for_child(ends[0]);
    }
    close(ends[0]);
    if (pid < 0 || setsid() < 0 || chdir("/") < 0) {
        int r = err_set(err, -errno, "cannot go to the background: %s", strerror(errno));

        close(ends[1]);
        return r;
    }
    parent = ends[1];
    return 0;
}

int
daemon_ready(struct err *err)
{
    int null, r = 0;

    if (parent < 0)
        return 0;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && r == 0 && fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            r = -1;
    if (null < 0 || r < 0)
        return err_set(err, -errno, "/dev/null: %s", strerror(errno));
    if (null > 2)
        close(null);
    if (write(parent, "", 1) < 0)
        log_warn("who started us is gone already");
    close(parent);
    parent = -1;
    return 0;
}

int
daemon_make_folder(const char *path, const struct daemon_user *user, const gid_t *group,
                   struct err *err)
{
    char *copy = mem_strdup(path);
    const char *folder = dirname(copy);
    int r = 0;

    if (mkdir(folder, 0755) == 0) {
        if (user->change && chown(folder, user->uid, group != NULL ? *group : user->gid) < 0)
            r = -errno;
        else if (group != NULL && chmod(folder, 02750) < 0)
            r = -errno;
    } else if (errno != EEXIST) {
        r = -errno;
    }
    if (r < 0)
        r = err_set(err, r, "%s: %s", folder, strerror(-r));
    free(copy);
    return r;
}

int
daemon_write_pid(const char *path, const struct daemon_user *user, struct err *err)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int r = daemon_make_folder(path, user, NULL, err);
    int fd;

    if (r < 0)
        return r;
    unlink(path); /* not through a link that somebody put there */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    if (write(fd, text, (size_t)length) != length ||
        (user->change && fchown(fd, user->uid, user->gid) < 0))
        r = err_set(err, -errno, "%s: %s", path, strerror(errno));
    close(fd);
    return r;
}
