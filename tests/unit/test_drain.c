/*
 * Which processes of Postfix still work with what a file had before it was changed?
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "transport-maps/drain.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICKS_US = 50000 /* more than the kernel's times of processes and files are wrong by */ };

static char folder[] = "/tmp/test_drain.XXXXXX";

static void
put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* A folder in which this process is the master. */
static int
make(void **state)
{
    char pid[32];

    (void)state;
    snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (mkdtemp(folder) == NULL || chdir(folder) < 0 || mkdir("pid", 0755) < 0)
        return -1;
    put("pid/master.pid", pid);
    return 0;
}

static int
take_away(void **state)
{
    (void)state;
    unlink("pid/master.pid");
    unlink("main.cf");
    rmdir("pid");
    return chdir("/") < 0 ? -1 : rmdir(folder);
}

/* A process of that name, that ends a moment later, or never. */
static pid_t
start(const char *name, bool ends)
{
    pid_t pid;

    prctl(PR_SET_NAME, name); /* it has it from its parent */
    pid = fork();
    if (pid == 0) {
        if (ends)
            usleep(10 * TICKS_US);
        else
            pause();
        _exit(0);
    }
    assert_true(pid > 0);
    usleep(TICKS_US);
    return pid;
}

/* Was it waited for?  It is taken away. */
static bool
was_waited_for(pid_t pid)
{
    struct cf_services services = {0};
    struct drain drain = {
        .queue_directory = folder, .services = &services, .intake_since = "main.cf"};
    size_t deliveries = 1;
    size_t intake = 1;
    bool has_ended;

    drain_wait(&drain, &deliveries, &intake);
    has_ended = waitpid(pid, NULL, WNOHANG) == pid;
    assert_int_equal(deliveries + intake, 0);
    if (!has_ended) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return has_ended;
}

/* What was begun before the file was there read the old one, whenever the new one was written. */
static void
test_intake_of_before(void **state)
{
    static const char *const programs[] = {"smtpd", "cleanup"};

    (void)state;
    for (size_t i = 0; i < COUNT(programs); i++) {
        pid_t pid;

        put("main.cf.new", "");
        usleep(TICKS_US);
        pid = start(programs[i], true);
        assert_int_equal(rename("main.cf.new", "main.cf"), 0);
        assert_true(was_waited_for(pid));
    }
}

static void
test_others(void **state)
{
    pid_t pid;

    (void)state;
    pid = start("qmgr", false);
    put("main.cf", "");
    assert_false(was_waited_for(pid));
    usleep(TICKS_US);
    pid = start("smtpd", false); /* of the new file */
    assert_false(was_waited_for(pid));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intake_of_before),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, make, take_away);
}
