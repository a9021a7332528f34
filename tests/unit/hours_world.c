/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/hours_world.h"

#include "tests/unit/unit.h"

#include "lib/err.h"
#include "lib/mem.h"

#include <unistd.h>

enum { MB = 1024 * 1024 };

struct hours_world hours_world;

static char folder[] = "/tmp/postpool-test-XXXXXX";

static struct hours_batch *
batch_new(void)
{
    struct hours_batch *made = mem_new(sizeof(*made));

    made->tallies = tallies_new(1000);
    TAILQ_INIT(&made->queue);
    made->place = (struct place){.kind = PLACE_FILE, .file = {1, 100, 2}};
    made->log = mem_strdup("/var/log/mail.log");
    return made;
}

void
hours_world_begin(void)
{
    hours_world.batch = batch_new();
    hours_world.tallies = hours_world.batch->tallies;
}

void
hours_world_commit(void)
{
    struct err err;

    if (hours_file_commit(hours_world.file, hours_world.batch, &hours_world.limits, &err) < 0)
        fail_msg("%s", err.msg);
    hours_batch_free(hours_world.batch);
    hours_world.batch = NULL;
}

void
hours_world_reopen(void)
{
    struct err err;

    hours_file_close(hours_world.file);
    if (hours_file_open(hours_world.path, &hours_world.file, &err) < 0)
        fail_msg("%s", err.msg);
}

int
hours_world_setup(void **state)
{
    (void)state;
    unlink(hours_world.path);
    hours_world.limits =
        (struct hours_limits){1000, INT64_C(90) * 24 * 3600 * 1000, 100 * MB, 1000 * 1000};
    hours_world.file = NULL;
    hours_world.node = NULL;
    hours_world_reopen();
    hours_world_begin();
    return 0;
}

int
hours_world_teardown(void **state)
{
    (void)state;
    hours_batch_free(hours_world.batch);
    hours_file_close(hours_world.file);
    return 0;
}

struct tally *
hours_world_mail(int64_t hour, const char *stream, const char *pool, const char *address,
                 const char *provider)
{
    return tallies_at(hours_world.tallies, TALLIES_MAIL, hour,
                      (const char *const[TALLIES_NAMES]){stream, pool, address, provider});
}

struct tally *
hours_world_account(int64_t hour, const char *name, const char *stream, const char *pool)
{
    return tallies_at(hours_world.tallies, TALLIES_ACCOUNTS, hour,
                      (const char *const[TALLIES_NAMES]){name, stream, pool});
}

struct tally *
hours_world_suspended(int64_t hour, const char *address, const char *provider)
{
    return tallies_at(hours_world.tallies, TALLIES_SUSPENDED, hour,
                      (const char *const[TALLIES_NAMES]){address, provider});
}

struct tally *
hours_world_unmet(int64_t hour, const char *stream, const char *requirement)
{
    return tallies_at(hours_world.tallies, TALLIES_UNMET, hour,
                      (const char *const[TALLIES_NAMES]){stream, requirement});
}

struct hours_sums
hours_world_sums_of(enum hours_by by, int64_t from, int64_t to)
{
    struct hours_sums sums;
    const struct hours_scope scope = {from, to, "mta1", hours_world.node};
    struct err err;

    if (hours_sums_read(hours_world.file, by, &scope, &sums, &err) < 0)
        fail_msg("%s", err.msg);
    return sums;
}

int
hours_world_run(int (*run)(void))
{
    int failed;

    setenv("TZ", "UTC", 1);
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(hours_world.path, sizeof(hours_world.path), "%s/figures.db", folder);
    failed = run();
    unlink(hours_world.path);
    rmdir(folder);
    return failed;
}
