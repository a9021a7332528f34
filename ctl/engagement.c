/*
 * postpool engagement: which recipients were active when, for addresses that warm up.
 *
 * Ten million take 80 MB here, and as much again while they are sorted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"
#include "ctl/logfile.h"

#include "engine/date.h"
#include "lib/clock.h"
#include "lib/engagement.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BAD_SHOWN = 20,
    SHOW_MS = 500,    /* how often the terminal is told */
    SHOW_LINES = 512, /* how often it is asked whether that is due */
    ROOM = 65536,     /* words, at first */
    DAY_S = 24 * 3600,
    LOCK_WAIT_MS = 60 * 1000, /* for another import to write its file */
    LINE_MAX_BYTES = 1024,    /* an address takes 320, a date with a time 30 */
};

static const char usage[] =
    "usage: postpool engagement import [--merge] FILE\n"
    "       postpool engagement show [--json]\n"
    "       postpool engagement test RECIPIENT [--json]\n\n"
    "import: recipients and their last activity, one a line, for addresses that warm up:\n"
    "    joe@example.org 2026-11-20       the date, or so many days ago: joe@example.org 7\n"
    "    SHA-256,2026-11-20               of the address in lower case, in hexadecimal\n"
    "FILE is plain or compressed by gzip; \"-\" is standard input.  They take the place of those\n"
    "that were there; with --merge these stay, with the newer date of both.  The policy daemon\n"
    "takes them up at once.\n"
    "show: how many there are, and who passes when; test: what is known of one.\n";

static int
complain(const char *text)
{
    fprintf(stderr, "postpool: %s\n\n%s", text, usage);
    return CTL_USAGE;
}

static int32_t
today(void)
{
    return (int32_t)(clock_ms(CLOCK_REALTIME) / 1000 / DAY_S);
}

/* ------------------------------------------------------------------ the file */

/* The file as it is, to be read in place. */
struct view {
    void *bytes; /* owned, of mmap() */
    size_t length;
    struct engagement engagement;
    int32_t day; /* when it was written */
};

static void
view_close(struct view *view)
{
    if (view->bytes != NULL)
        munmap(view->bytes, view->length);
}

/* 0, or a negative errno with the reason. */
static int
view_open(const char *path, struct view *ret_view, struct err *err)
{
    struct view view = {0};
    struct stat st;
    struct err why;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

    if (r == 0 && st.st_size > 0) {
        view.length = (size_t)st.st_size;
        view.bytes = mmap(NULL, view.length, PROT_READ, MAP_PRIVATE, fd, 0);
        if (view.bytes == MAP_FAILED) {
            r = -errno;
            view.bytes = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    if (r < 0)
        return err_set(err, r, "%s: %s", path, strerror(-r));
    view.day = (int32_t)(st.st_mtim.tv_sec / DAY_S);
    r = engagement_read(view.bytes, view.length, &view.engagement, &why);
    if (r < 0) {
        err_set(err, r, "%s %s", path, why.msg);
        view_close(&view);
        return r;
    }
    *ret_view = view;
    return 0;
}

/* Streams whose mail to others has nowhere to go. */
static void
warn_of_streams(const struct conf *conf)
{
    const struct snapshot *snapshot = conf->snapshot;

    for (size_t i = 0; i < snapshot->stream_count && snapshot->engaged_weeks > 0; i++) {
        const struct stream *stream = &snapshot->streams[i];

        if (!stream_has_warm(stream))
            fprintf(stderr,
                    "postpool: stream %s: all addresses of pool %s warm up, and its overflow has "
                    "no other -- recipients that were not active of late wait\n",
                    stream->name, stream->pool->name);
    }
}

/* ------------------------------------------------------------------- import */

struct import {
    uint64_t *words; /* owned: the file that will be */
    size_t count;    /* of recipients */
    size_t room;     /* of words */
    uint64_t lines, bad;
    int64_t shown_ms;
};

static void
show_progress(struct import *import, const struct logfile *file, bool last)
{
    int64_t now_ms;
    int percent;

    if (!isatty(STDERR_FILENO) || (!last && import->lines % SHOW_LINES != 0))
        return;
    now_ms = clock_ms(CLOCK_MONOTONIC);
    if (!last && now_ms < import->shown_ms + SHOW_MS)
        return;
    import->shown_ms = now_ms;
    percent = logfile_percent(file);
    fprintf(stderr, "\r%" PRIu64 " lines", import->lines);
    if (percent >= 0)
        fprintf(stderr, ", %3d %%", percent);
    fputs(last ? "\n" : "", stderr);
}

static bool
add_word(struct import *import, uint64_t word)
{
    if (import->count == ENGAGEMENT_MAX)
        return false;
    if (import->count + ENGAGEMENT_HEAD == import->room) {
        import->room *= 2; /* pages that are not written to take no memory */
        import->words = mem_resize(import->words, import->room, sizeof(*import->words));
    }
    import->words[ENGAGEMENT_HEAD + import->count++] = word;
    return true;
}

static void
tell_bad(struct import *import, const char *name, const char *why)
{
    if (import->bad++ < BAD_SHOWN)
        fprintf(stderr, "%s%s:%" PRIu64 ": %s\n", isatty(STDERR_FILENO) ? "\r" : "", name,
                import->lines, why);
}

/* 1 with *ret_word set, 0 for one that says nothing, or -EINVAL with the reason. */
static int
parse(const struct span *line, bool was_long, int32_t day, uint64_t *ret_word, struct err *err)
{
    char text[LINE_MAX_BYTES + 1];

    if (was_long || line->length > LINE_MAX_BYTES)
        return err_set(err, -EINVAL, "is too long: more than %d bytes", LINE_MAX_BYTES);
    if (memchr(line->start, '\0', line->length) != NULL)
        return err_set(err, -EINVAL, "has a NUL byte in it");
    memcpy(text, line->start, line->length);
    text[line->length] = '\0';
    return engagement_line(text, day, ret_word, err);
}

static int
read_lines(struct import *import, struct logfile *file, const char *name, struct err *err)
{
    int32_t day = today();
    struct span line;
    int r;

    while ((r = logfile_next(file, &line, err)) > 0) {
        struct err why;
        uint64_t word;
        int told;

        import->lines++;
        told = parse(&line, logfile_was_long(file), day, &word, &why);
        if (told < 0)
            tell_bad(import, name, why.msg);
        else if (told > 0 && !add_word(import, word))
            return err_set(err, -EFBIG, "%s: more than %d recipients", name, ENGAGEMENT_MAX);
        show_progress(import, file, false);
    }
    show_progress(import, file, true);
    return r;
}

/* What is there already; that there is none is fine. */
static int
merge(struct import *import, const char *path)
{
    struct view view;
    struct err err;
    int r = view_open(path, &view, &err);
    bool fits = true;

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return fprintf(stderr, "postpool: %s\n", err.msg), r;
    for (size_t i = 0; i < view.engagement.count && fits; i++)
        fits = add_word(import, engagement_word_at(&view.engagement, i));
    view_close(&view);
    if (!fits)
        fprintf(stderr, "postpool: %s: together more than %d recipients\n", path, ENGAGEMENT_MAX);
    return fits ? 0 : -EFBIG;
}

/* 0, or a negative errno after saying why. */
static int
read_file(struct import *import, const char *path)
{
    struct logfile *file;
    struct err err;
    int r = logfile_open(path, &file, &err);

    if (r == 0) {
        r = read_lines(import, file, strcmp(path, "-") == 0 ? LOGFILE_INPUT : path, &err);
        logfile_close(file);
    }
    if (r < 0)
        fprintf(stderr, "postpool: %s\n", err.msg);
    return r;
}

/* The daemon looks at the file by itself, too, a little later. */
static bool
tell_daemon(const struct conf *conf)
{
    char *answer = NULL;
    bool taken;

    if (!ctl_answers(conf)) {
        printf("postpool-policyd does not run; it reads them when it starts\n");
        return true;
    }
    taken = ctl_ask(conf, "engagement", &answer) == 0;
    if (taken)
        printf("postpool-policyd has taken them up: %s", answer);
    free(answer);
    return taken;
}

/* Put it in the place of the file; merges: together with what that has.  0, or a negative errno. */
static int
replace(struct import *import, const char *path, bool merges)
{
    struct err err;
    int lock = file_lock(path, LOCK_WAIT_MS, &err), r;

    if (lock < 0)
        return fprintf(stderr, "postpool: %s\n", err.msg), lock;
    r = merges ? merge(import, path) : 0;
    if (r == 0 && import->count > 0) {
        import->count = engagement_make(import->words, import->count);
        r = file_write_bytes(path, import->words,
                             (import->count + ENGAGEMENT_HEAD) * sizeof(*import->words), &err);
        if (r < 0)
            fprintf(stderr, "postpool: %s\n", err.msg);
    }
    close(lock);
    return r;
}

static int
finish(struct import *import, const struct conf *conf, const char *name, bool merges)
{
    if (import->bad > BAD_SHOWN)
        fprintf(stderr, "and %" PRIu64 " more such lines\n", import->bad - BAD_SHOWN);
    if (replace(import, conf->engagement_path, merges) < 0)
        return CTL_BAD_NEWS;
    if (import->count == 0) {
        fprintf(stderr,
                "postpool: %s: no line has a recipient and when it was active -- nothing "
                "is changed\n",
                name);
        return CTL_BAD_NEWS;
    }
    printf("%s: %zu recipients\n", conf->engagement_path, import->count);
    if (import->bad > 0)
        fprintf(stderr, "postpool: %s: %" PRIu64 " of %" PRIu64 " lines were passed over\n", name,
                import->bad, import->lines);
    warn_of_streams(conf);
    return tell_daemon(conf) && import->bad == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}

static int
run_import(const struct conf *conf, const char *name, bool merges)
{
    struct import import = {.room = ROOM};
    int status = CTL_BAD_NEWS;

    import.words = mem_resize(NULL, import.room, sizeof(*import.words));
    if (read_file(&import, name) == 0)
        status = finish(&import, conf, name, merges);
    free(import.words);
    return status;
}

/* --------------------------------------------------------------------- show */

static size_t
active_within(const struct engagement *engagement, int32_t days)
{
    int32_t now = today();
    size_t count = 0;

    for (size_t i = 0; i < engagement->count; i++)
        count += now - (int32_t)(engagement_word_at(engagement, i) & ENGAGEMENT_DAY_MAX) <= days;
    return count;
}

/* Weeks with the same days are told once. */
static bool
is_new_week(const struct snapshot *snapshot, size_t week)
{
    return week == 0 || snapshot->engaged_days[week] != snapshot->engaged_days[week - 1];
}

static size_t
last_week(const struct snapshot *snapshot, size_t week)
{
    while (week + 1 < snapshot->engaged_weeks && !is_new_week(snapshot, week + 1))
        week++;
    return week;
}

static void
show_text(const struct conf *conf, const struct view *view)
{
    const struct snapshot *snapshot = conf->snapshot;
    char date[DATE_SIZE];

    date_print(view->day, date);
    printf("%s: %zu recipients, of %s\n", conf->engagement_path, view->engagement.count, date);
    for (size_t i = 0; i < snapshot->engaged_weeks; i++)
        if (is_new_week(snapshot, i))
            printf("  stages %zu to %zu: those active within %u days, %zu\n", i * ENGAGED_WEEK + 1,
                   (last_week(snapshot, i) + 1) * ENGAGED_WEEK, snapshot->engaged_days[i],
                   active_within(&view->engagement, (int32_t)snapshot->engaged_days[i]));
    printf("  behind them everybody\n");
}

static void
show_json(const struct conf *conf, const struct view *view)
{
    const struct snapshot *snapshot = conf->snapshot;
    struct buf text = {0};
    struct json json = {.out = &text};
    char date[DATE_SIZE];

    date_print(view->day, date);
    json_open(&json, NULL, '{');
    json_text(&json, "path", conf->engagement_path);
    json_number(&json, "recipients", (long long)view->engagement.count);
    json_text(&json, "day", date);
    json_open(&json, "stages", '[');
    for (size_t i = 0; i < snapshot->engaged_weeks; i++) {
        if (!is_new_week(snapshot, i))
            continue;
        json_open(&json, NULL, '{');
        json_number(&json, "from", (long long)i * ENGAGED_WEEK + 1);
        json_number(&json, "to", (long long)(last_week(snapshot, i) + 1) * ENGAGED_WEEK);
        json_number(&json, "within_days", snapshot->engaged_days[i]);
        json_number(
            &json, "recipients",
            (long long)active_within(&view->engagement, (int32_t)snapshot->engaged_days[i]));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    puts(buf_text(&text));
    buf_clear(&text);
}

/* --------------------------------------------------------------------- test */

/* From which stage on an address in warm-up takes it, from 1; 0: it takes it at once. */
static size_t
first_stage(const struct snapshot *snapshot, int32_t quiet_days)
{
    size_t week = 0;

    while (week < snapshot->engaged_weeks && quiet_days > (int32_t)snapshot->engaged_days[week])
        week++;
    return week * ENGAGED_WEEK + 1;
}

static int
test(const struct ctl *ctl, const struct conf *conf, const struct view *view, const char *recipient)
{
    uint64_t hash;
    int32_t day, quiet;
    size_t stage;
    char date[DATE_SIZE];

    if (engagement_parse_hash(recipient, &hash) < 0)
        hash = engagement_hash(recipient);
    day = engagement_day(&view->engagement, hash);
    quiet = day < 0         ? INT32_MAX
            : day < today() ? today() - day
                            : 0; /* east of UTC it is tomorrow */
    stage = first_stage(conf->snapshot, quiet);
    date_print(day, date);
    if (ctl->json) {
        struct buf text = {0};
        struct json json = {.out = &text};

        json_open(&json, NULL, '{');
        json_bool(&json, "known", day >= 0);
        json_text(&json, "active", day >= 0 ? date : NULL);
        json_number(&json, "from_stage", (long long)stage);
        json_close(&json, '}');
        puts(buf_text(&text));
        buf_clear(&text);
    } else if (day < 0) {
        printf("not known: addresses in warm-up take it from stage %zu on\n", stage);
    } else {
        printf("active on %s, %d days ago: addresses in warm-up take it from stage %zu on\n", date,
               (int)quiet, stage);
    }
    return day >= 0 ? CTL_GOOD : CTL_BAD_NEWS;
}

/* ------------------------------------------------------------------ the command */

static int
run_look(const struct ctl *ctl, const struct conf *conf, const char *recipient)
{
    struct view view;
    struct err err;
    int status = CTL_GOOD, r = view_open(conf->engagement_path, &view, &err);

    if (r < 0) {
        fprintf(stderr, "postpool: %s%s\n", err.msg,
                r == -ENOENT ? " -- nothing was imported yet" : "");
        return CTL_BAD_NEWS;
    }
    if (recipient != NULL)
        status = test(ctl, conf, &view, recipient);
    else
        (ctl->json ? show_json : show_text)(conf, &view);
    if (recipient == NULL)
        warn_of_streams(conf);
    view_close(&view);
    return status;
}

static int
run(const struct ctl *ctl, const char *what, bool merges, const char *argument)
{
    struct conf *conf;
    int status;

    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    if (strcmp(conf->engagement_path, "none") == 0) {
        fprintf(stderr, "postpool: %s: warmup.engagement is \"none\"\n", ctl->file);
        status = CTL_USAGE;
    } else if (strcmp(what, "import") == 0) {
        status = run_import(conf, argument, merges);
    } else {
        status = run_look(ctl, conf, argument);
    }
    conf_unref(conf);
    return status;
}

int
ctl_engagement(const struct ctl *ctl, int argc, char **argv)
{
    const char *words[3] = {0};
    bool merges = false;
    size_t count = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return fputs(usage, stdout), CTL_GOOD;
        if (strcmp(argv[i], "--merge") == 0)
            merges = true;
        else if (argv[i][0] == '-' && argv[i][1] != '\0')
            return complain("there is no such option");
        else if (count == 2)
            return complain("one argument too many");
        else
            words[count++] = argv[i];
    }
    if (count == 0)
        return complain("there are import, show and test");
    if (merges && strcmp(words[0], "import") != 0)
        return complain("--merge is for import");
    if (strcmp(words[0], "import") == 0)
        return words[1] != NULL ? run(ctl, words[0], merges, words[1])
                                : complain("a FILE is needed, or -");
    if (strcmp(words[0], "test") == 0)
        return words[1] != NULL ? run(ctl, words[0], false, words[1])
                                : complain("a recipient is needed");
    if (strcmp(words[0], "show") != 0)
        return complain("there are import, show and test");
    return words[1] == NULL ? run(ctl, words[0], false, NULL) : complain("one argument too many");
}
