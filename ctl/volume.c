/*
 * postpool release, reset, settle and store: what was counted, by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_settle[] =
    "usage: postpool settle spent|returned MESSAGE-ID RECIPIENT\n\n"
    "The result of a delivery, where nothing follows Postfix's log.\n";

static const char usage_key[] =
    "usage: postpool release KEY|all\n"
    "       postpool reset KEY\n\n"
    "release: grants that this node holds and does not use go back to the store.\n"
    "reset:   forget what was counted, on all nodes; the caps may be passed once.\n\n"
    "KEY is what postpool status shows: address/a1, provider/a1/google, stream/bulk,\n"
    "account/bulk/app-news\n";

static const char usage_store[] =
    "usage: postpool store set-aside\n\n"
    "Renames the store's file, while postpool-policyd does not run.\n";

int
ctl_volume(const struct ctl *ctl, int argc, char **argv)
{
    bool settles = strcmp(argv[0], "settle") == 0;
    struct buf question = {0};
    struct conf *conf;
    char *answer = NULL;
    const char *usage = settles ? usage_settle : usage_key;
    int wanted = settles ? 3 : 1, r, status;

    if (!ctl_arguments(argc, argv, wanted, usage, &status))
        return status;
    if (argc - 1 < wanted) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    for (int i = 0; i < argc; i++)
        buf_printf(&question, "%s%s", i > 0 ? " " : "", argv[i]);
    r = ctl_ask(conf, buf_text(&question), &answer);
    if (r == 0)
        fputs(answer, stdout);
    if (r == 0 && settles && strncmp(answer, "no grant", 8) == 0)
        r = -ENOENT;
    free(answer);
    buf_clear(&question);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}

/* The file and what SQLite keeps beside it. */
static int
set_aside(const char *path)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char when[32];
    time_t now = time(NULL);
    int moved = 0;

    strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime(&now));
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        char *from = mem_printf("%s%s", path, parts[i]);
        char *to = mem_printf("%s.aside-%s%s", path, when, parts[i]);

        if (rename(from, to) == 0) {
            printf("%s is %s now\n", from, to);
            moved++;
        } else if (errno != ENOENT) {
            fprintf(stderr, "postpool: %s: %s\n", from, strerror(errno));
            moved = -1;
        }
        free(from);
        free(to);
        if (moved < 0)
            return CTL_BAD_NEWS;
    }
    if (moved == 0)
        fprintf(stderr, "postpool: there is no %s\n", path);
    else
        printf(
            "a new one is begun; what was counted is forgotten, so every cap may be passed once\n");
    return moved > 0 ? CTL_GOOD : CTL_BAD_NEWS;
}

int
ctl_store(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    int status;

    if (!ctl_arguments(argc, argv, 1, usage_store, &status))
        return status;
    if (argc != 2 || strcmp(argv[1], "set-aside") != 0) {
        fputs(usage_store, stderr);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    if (ctl_answers(conf)) {
        fprintf(stderr, "postpool: postpool-policyd runs and has the file; stop it first\n");
        status = CTL_BAD_NEWS;
    } else {
        status = set_aside(conf->store_path);
    }
    conf_unref(conf);
    return status;
}
