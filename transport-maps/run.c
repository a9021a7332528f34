/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/run.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct stream {
    int fd; /* -1: at its end */
    struct buf text;
    run_line_fn *on_line;
    void *arg;
};

static int
start(const char *const argv[], int out, int said, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    char **args = (char **)(uintptr_t)argv; /* posix_spawn() does not write to them */
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
    r = posix_spawnp(ret_pid, argv[0], &actions, NULL, args, environ);
    if (r == ENOENT && strchr(argv[0], '/') == NULL) {
        /* Not everyone who may ask postconf has the system's programs in PATH. */
        char *path = mem_printf("/usr/sbin/%s", argv[0]);

        r = posix_spawn(ret_pid, path, &actions, NULL, args, environ);
        free(path);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Hand on the whole lines in stream->text; with all, the rest too. */
static void
stream_lines(struct stream *stream, bool all)
{
    char *line = stream->text.data;
    char *newline;
    size_t left;

    if (stream->on_line == NULL || line == NULL)
        return;
    while ((newline = strchr(line, '\n')) != NULL) {
        *newline = '\0';
        stream->on_line(stream->arg, line);
        line = newline + 1;
    }
    if (all && *line != '\0') {
        stream->on_line(stream->arg, line);
        line += strlen(line);
    }
    left = stream->text.length - (size_t)(line - stream->text.data);
    memmove(stream->text.data, line, left + 1);
    stream->text.length = left;
}

/* Read what is there.  Returns 0 or a negative errno. */
static int
stream_read(struct stream *stream)
{
    char chunk[65536];
    ssize_t length = read(stream->fd, chunk, sizeof(chunk));

    if (length < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (length == 0) {
        stream_lines(stream, true);
        close(stream->fd);
        stream->fd = -1;
        return 0;
    }
    /* No program that is run here writes NUL; a line would end early, no more. */
    buf_add(&stream->text, chunk, (size_t)length);
    stream_lines(stream, false);
    if (stream->text.length > (stream->on_line != NULL ? RUN_LINE_MAX : RUN_OUTPUT_MAX))
        return -EFBIG;
    return 0;
}

static int
listen_to(const char *name, struct stream streams[2], struct err *err)
{
    int64_t deadline = clock_ms(CLOCK_MONOTONIC) + RUN_TIME_MAX_S * INT64_C(1000);

    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        struct pollfd polls[2] = {{streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}};
        int64_t left = deadline - clock_ms(CLOCK_MONOTONIC);

        if (left <= 0)
            return err_set(err, -ETIMEDOUT, "%s: no end after %d s", name, RUN_TIME_MAX_S);
        if (poll(polls, 2, (int)left) < 0 && errno != EINTR)
            return err_set(err, -errno, "%s: %s", name, strerror(errno));
        for (int i = 0; i < 2; i++) {
            int r = streams[i].fd >= 0 && polls[i].revents != 0 ? stream_read(&streams[i]) : 0;

            if (r < 0)
                return err_set(err, r, "%s: its output: %s", name, strerror(-r));
        }
    }
    return 0;
}

static int
finish(pid_t pid, bool kill_it)
{
    int status = 0;

    if (kill_it)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int
run(const char *const argv[], run_line_fn *on_line, void *arg, struct run_result *ret_result,
    struct err *err)
{
    int out[2] = {-1, -1};
    int said[2] = {-1, -1};
    struct stream streams[2] = {{.fd = -1, .on_line = on_line, .arg = arg}, {.fd = -1}};
    pid_t pid = 0;
    int r = 0;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0)
        r = err_set(err, -errno, "%s: %s", argv[0], strerror(errno));
    if (r == 0 && (r = start(argv, out[1], said[1], &pid)) < 0)
        err_set(err, r, "%s: %s", argv[0], strerror(-r));
    if (out[1] >= 0)
        close(out[1]);
    if (said[1] >= 0)
        close(said[1]);
    streams[0].fd = out[0];
    streams[1].fd = said[0];
    if (r == 0) {
        r = listen_to(argv[0], streams, err);
        *ret_result = (struct run_result){.status = finish(pid, r < 0)};
    }
    for (int i = 0; i < 2; i++) {
        if (streams[i].fd >= 0)
            close(streams[i].fd);
    }
    if (r == 0) {
        ret_result->out = buf_take(&streams[0].text);
        ret_result->said = buf_take(&streams[1].text);
    }
    buf_clear(&streams[0].text);
    buf_clear(&streams[1].text);
    return r;
}

void
run_result_clear(struct run_result *result)
{
    free(result->out);
    free(result->said);
    *result = (struct run_result){0};
}

char *
run_complaint(const struct run_result *result)
{
    const char *end = result->said + strlen(result->said);
    const char *start_of_line;

    while (end > result->said && end[-1] == '\n')
        end--;
    for (start_of_line = end; start_of_line > result->said && start_of_line[-1] != '\n';)
        start_of_line--;
    if (start_of_line == end)
        return mem_printf("exit status %d", result->status);
    return mem_strndup(start_of_line, (size_t)(end - start_of_line));
}
