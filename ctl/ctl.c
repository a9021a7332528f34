/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 64 * 1024 * 1024, /* bytes; 10,000 addresses take about 1 MB */
    ANSWER_WAIT_S = 30,
    QUESTION_MAX = 1024, /* bytes that the daemon takes of a line */
};

int
ctl_load(const char *file, struct conf **ret_conf)
{
    struct conf_problems problems = {0};
    int r = conf_load(file, ret_conf, &problems);

    for (size_t i = 0; i < problems.count; i++)
        if (r < 0 || !problems.items[i].warning)
            fprintf(stderr, "%s\n", problems.items[i].text);
    conf_problems_clear(&problems);
    return r;
}

/*
 * Names of accounts are what clients say, and replies what servers do; they shall not write to
 * the admin's terminal, which obeys U+0080 to U+009F, too.
 */
static void
make_harmless(struct buf *text)
{
    unsigned char *at = (unsigned char *)text->data;

    for (size_t i = 0; i < text->length; i++)
        if ((at[i] < ' ' && at[i] != '\n') || at[i] == 127)
            at[i] = '?';
        else if (at[i] == 0xc2 && at[i + 1] >= 0x80 && at[i + 1] < 0xa0) /* a NUL is behind it */
            at[i] = at[i + 1] = '?';
}

static int
read_answer(int fd, struct buf *answer)
{
    char bytes[16384];
    ssize_t length;

    while ((length = read(fd, bytes, sizeof(bytes))) != 0) {
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -errno;
        if (answer->length + (size_t)length > ANSWER_MAX)
            return -EMSGSIZE;
        buf_add(answer, bytes, (size_t)length);
    }
    make_harmless(answer);
    return answer->length > 0 ? 0 : -EPIPE;
}

/* All of bytes.  0, or a negative errno. */
static int
send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int
ctl_exchange(const struct conf *conf, const char *bytes, size_t length, struct buf *answer,
             struct err *err)
{
    struct timeval wait = {ANSWER_WAIT_S, 0};
    struct err why;
    int fd = endpoint_connect(conf->control, &why);
    int r;

    if (fd < 0)
        return err_set(err, fd, "postpool-policyd does not answer: %s", why.msg);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    r = send_all(fd, bytes, length);
    if (r == 0)
        r = read_answer(fd, answer);
    close(fd);
    if (r < 0)
        return err_set(err, r, "%s: no answer: %s", conf->control,
                       r == -EAGAIN ? "nothing came in 30 s" : strerror(-r));
    return 0;
}

int
ctl_ask(const struct conf *conf, const char *question, char **ret_answer)
{
    struct buf answer = {0};
    struct err err;
    char *line;
    int r;

    if (strlen(question) > QUESTION_MAX) {
        fprintf(stderr, "postpool: what is asked has %zu bytes, postpool-policyd takes %d\n",
                strlen(question), QUESTION_MAX);
        return -EMSGSIZE;
    }
    line = mem_printf("%s\n", question);
    r = ctl_exchange(conf, line, strlen(line), &answer, &err);

    free(line);
    if (r < 0) {
        fprintf(stderr, "postpool: %s\n", err.msg);
        buf_clear(&answer);
        return r;
    }
    if (strncmp(buf_text(&answer), "error: ", 7) == 0) {
        fprintf(stderr, "postpool: postpool-policyd: %s", buf_text(&answer) + 7);
        buf_clear(&answer);
        return -EREMOTEIO;
    }
    *ret_answer = buf_take(&answer);
    return 0;
}

int
ctl_print(const struct ctl *ctl, const char *question)
{
    struct conf *conf;
    char *answer = NULL;
    int r;

    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    r = ctl_ask(conf, question, &answer);
    if (r == 0)
        fputs(answer, stdout);
    free(answer);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}

int
ctl_show(const struct ctl *ctl, int argc, char **argv, const char *question, const char *usage)
{
    char *whole;
    int status;

    if (!ctl_arguments(argc, argv, 0, usage, &status))
        return status;
    whole = mem_printf("%s%s", question, ctl->json ? " json" : "");
    status = ctl_print(ctl, whole);
    free(whole);
    return status;
}

bool
ctl_answers(const struct conf *conf)
{
    int fd = endpoint_connect(conf->control, NULL);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool
ctl_arguments(int argc, char **argv, int arguments_max, const char *usage, int *ret_status)
{
    bool fine = argc - 1 <= arguments_max;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            *ret_status = CTL_GOOD;
            return false;
        }
        fine = fine && argv[i][0] != '-';
    }
    if (!fine) {
        fputs(usage, stderr);
        *ret_status = CTL_USAGE;
    }
    return fine;
}

int
ctl_options(int argc, char **argv, const struct option *options, const char *usage)
{
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        if (c == 'h')
            return fputs(usage, stdout), CTL_GOOD;
        else if (c == '?')
            return fputs(usage, stderr), CTL_USAGE;
    return -1;
}

bool
ctl_colour(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && term != NULL &&
           strcmp(term, "dumb") != 0;
}
