/*
 * postpool simulate: what would become of mail of days to come, with this configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/simulate.h"

#include "ctl/ctl.h"
#include "ctl/prospect.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/known.h"
#include "lib/mem.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DAYS = 60,
    DAYS_MAX = 3660,
    FIRST_DAY = 365,   /* 1971-01-01 */
    LAST_DAY = 365607, /* 2970-12-31 */
    PROGRESS_MS = 200,
    BLOCK_RULE = 1,
    HOUR_MS = 3600 * 1000,
};

/* What follows when an address is blocked: as a rule that takes it out for two hours. */
static const struct reaction block_reaction = {
    .after = 1,
    .within_ms = HOUR_MS,
    .suspend_ms = 2 * HOUR_MS,
    .suspend_most_ms = 24 * HOUR_MS,
};

static const char usage[] =
    "usage: postpool simulate --volume STREAM=NUMBER/day[,...] [OPTION ...] [--json]\n\n"
    "What would become of that mail: by day and address, with the warm-ups of new addresses, what\n"
    "has to wait and how long, how many addresses each pool needs.  Nothing is sent or changed.\n\n"
    "  --volume STREAM=NUMBER/day,...   recipients; /hour: in each hour; /week\n"
    "  --days NUMBER                    how long; default: 60\n"
    "  --start YYYY-MM-DD               the first day; default: tomorrow\n"
    "  --providers NAME=PERCENT,...     where they are; the rest is \"other\"\n"
    "  --curve day|even|N,N,...         how mail is spread over a day; 24 numbers\n"
    "  --when STREAM=HOURS              it comes then, \"bulk=mon-fri 09:00-11:00\"\n"
    "  --accounts STREAM=NUMBER,...     from how many accounts, for caps of each\n"
    "  --bounced PERCENT                of what leaves: no such recipient; default: 1\n"
    "  --refused PERCENT                refused for other reasons; default: 1\n"
    "  --now                            warm-ups go on from where the policy daemon has them\n"
    "  --block ADDRESS=YYYY-MM-DD       it is blocked on that day; may be there several times\n"
    "  --lifetime TIME                  how long Postfix keeps mail that waits; default: 5d\n"
    "  --seed NUMBER                    for chance: the same gives the same; default: 1\n";

/* ------------------------------------------------------------------- results */

/* A number below ASSUMED_ALL, another one for each result. */
static uint32_t
chance(struct simulation *simulation)
{
    return (uint32_t)(hash_mix(hash_mix(simulation->seed) + ++simulation->results) % ASSUMED_ALL);
}

/* Is it the first message of an address on a day when it is to be blocked? */
static bool
is_blocked(struct simulation *simulation, const struct world_sent *sent)
{
    for (size_t i = 0; i < simulation->block_count; i++)
        if (simulation->blocks[i].address == sent->address &&
            simulation->blocks[i].day == assumed_day(&simulation->assumed, sent->at_ms)) {
            simulation->blocks[i].address = NULL;
            return true;
        }
    return false;
}

static void
on_sent(void *arg, const struct world_sent *sent)
{
    struct simulation *simulation = arg;
    struct world_reply reply = {.result = WORLD_ACCEPTED, .count = sent->count};
    uint32_t one = chance(simulation);

    if (simulation->block_count > 0 && is_blocked(simulation, sent)) {
        reply.result = WORLD_REFUSED;
        reply.accused = WORLD_ADDRESS;
        reply.reaction = &block_reaction;
        reply.rule = BLOCK_RULE;
        reply.for_good = true;
    } else if (one < simulation->assumed.bounced) {
        reply.result = WORLD_BOUNCED;
    } else if (one < simulation->assumed.bounced + simulation->assumed.refused) {
        reply.result = WORLD_REFUSED;
    }
    world_tell(simulation->world, sent, &reply);
}

static int
on_mail(void *arg, int64_t at_ms, const struct stream *stream, size_t provider, const char *account,
        uint32_t count)
{
    struct simulation *simulation = arg;
    struct world_outcome outcome;
    struct world_mail mail = {
        .at_ms = at_ms,
        .stream = stream,
        .provider = provider,
        .account = account,
        .grade = GRADE_TRUSTED,
        .key = hash_mix(simulation->seed ^ hash_mix(++simulation->messages)),
        .apart = true,
        .count = count,
    };

    return world_send(simulation->world, &mail, &outcome);
}

/* ------------------------------------------------------------------ progress */

static void
tell_progress(struct simulation *simulation, int day)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);

    if (!isatty(STDERR_FILENO))
        return;
    if (simulation->told_ms == 0)
        simulation->told_ms = now_ms;
    if (day < simulation->days && now_ms - simulation->told_ms < PROGRESS_MS)
        return;
    simulation->told_ms = now_ms;
    if (day < simulation->days)
        fprintf(stderr, "\rsimulate: day %d of %d", day + 1, simulation->days);
    else
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

static bool
has_accounts(const struct assumed *assumed)
{
    for (size_t i = 0; i < assumed->count; i++)
        if (assumed->streams[i].accounts > 0)
            return true;
    return false;
}

static int
run(struct simulation *simulation)
{
    struct assumed *assumed = &simulation->assumed;
    int32_t last = simulation->first_day + simulation->days;
    int r = 0;

    simulation->world = world_new(&(struct world_setup){
        .snapshot = simulation->conf->snapshot,
        .warmup = simulation->conf->warmup,
        .suspension = &simulation->conf->suspension,
        .probe_ms = simulation->conf->suspension_probe_ms,
        .standing = has_accounts(assumed) ? &simulation->conf->standing : NULL,
        .zone = assumed->zone,
        .start_ms = assumed_midnight_ms(assumed, simulation->first_day),
        .lifetime_ms = simulation->lifetime_ms,
        .wake_per_s = simulation->conf->wake_rate,
        .warmups = simulation->warmups,
        .sent = on_sent,
        .arg = simulation,
    });
    mem_must(simulation->world);
    for (int i = 0; i < simulation->days && r == 0; i++) {
        tell_progress(simulation, i);
        r = assumed_make(assumed, simulation->first_day + i, on_mail, simulation);
    }
    tell_progress(simulation, simulation->days);
    if (r == 0) /* to the last moment of the last day */
        r = world_run(simulation->world, assumed_midnight_ms(assumed, last) - 1);
    mem_must(r == 0 ? simulation->world : NULL);
    return CTL_GOOD;
}

/* -------------------------------------------------------------------- options */

static int
complain(const char *option, const char *text)
{
    fprintf(stderr, "postpool: simulate: %s%s%s\n", option, option[0] != '\0' ? ": " : "", text);
    return CTL_USAGE;
}

static bool
parse_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;
    long long number;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < least || number > most)
        return false;
    *ret = number;
    return true;
}

/* "a1=2026-12-10" */
static int
add_block(struct simulation *simulation, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    char *name = equals != NULL ? mem_strndup(text, (size_t)(equals - text)) : mem_strdup("");
    const struct address *address = snapshot_find_address(simulation->conf->snapshot, name);
    int32_t day;
    int r = 0;

    if (equals == NULL || date_parse(equals + 1, &day) < 0)
        r = err_set(err, -EINVAL, "\"%s\": ADDRESS=YYYY-MM-DD is needed", text);
    else if (address == NULL)
        r = err_set(err, -EINVAL, "there is no address \"%s\"%s", name,
                    known_addresses(simulation->conf->snapshot, name));
    else if (simulation->block_count == SIMULATE_BLOCKS_MAX)
        r = err_set(err, -EINVAL, "there can be no more than %d", SIMULATE_BLOCKS_MAX);
    else
        simulation->blocks[simulation->block_count++] = (struct simulate_block){address, day};
    free(name);
    return r;
}

static const struct option options[] = {
    {"volume", required_argument, NULL, 'v'},
    {"days", required_argument, NULL, 'd'},
    {"start", required_argument, NULL, 's'},
    {"providers", required_argument, NULL, 'p'},
    {"curve", required_argument, NULL, 'c'},
    {"when", required_argument, NULL, 'w'},
    {"accounts", required_argument, NULL, 'a'},
    {"bounced", required_argument, NULL, 'b'},
    {"refused", required_argument, NULL, 'r'},
    {"block", required_argument, NULL, 'k'},
    {"lifetime", required_argument, NULL, 'l'},
    {"seed", required_argument, NULL, 'e'},
    {"now", no_argument, NULL, 'n'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Those that need nothing of the others.  0, or -EINVAL. */
static int
take_option(struct simulation *simulation, int c, const char *text, struct err *err)
{
    struct assumed *assumed = &simulation->assumed;
    int64_t number;

    switch (c) {
    case 'v':
        return assumed_volumes(assumed, text, err);
    case 'p':
        return assumed_providers(assumed, text, err);
    case 'c':
        return assumed_curve(assumed, text, err);
    case 'b':
        return assumed_percent(text, &assumed->bounced, err);
    case 'r':
        return assumed_percent(text, &assumed->refused, err);
    case 'k':
        return add_block(simulation, text, err);
    case 'l':
        return prospect_lifetime(text, &simulation->lifetime_ms, err);
    case 'n':
        simulation->now = true;
        return 0;
    case 's':
        if (date_parse(text, &simulation->first_day) < 0)
            return err_set(err, -EINVAL, "\"%s\" is no date, such as 2026-12-01", text);
        if (simulation->first_day < FIRST_DAY || simulation->first_day > LAST_DAY)
            return err_set(err, -EINVAL, "%s is before 1971 or after 2970", text);
        return 0;
    case 'd':
        if (!parse_number(text, 1, DAYS_MAX, &number))
            return err_set(err, -EINVAL, "\"%s\" is no number from 1 to %d", text, DAYS_MAX);
        simulation->days = (int)number;
        return 0;
    case 'e':
        if (!parse_number(text, 0, INT64_MAX, &number))
            return err_set(err, -EINVAL, "\"%s\" is no number", text);
        simulation->seed = (uint64_t)number;
        return 0;
    default:
        return 0;
    }
}

/* Are all days of blocks simulated?  0, or an exit status. */
static int
check_blocks(const struct simulation *simulation)
{
    int32_t last_day = simulation->first_day + simulation->days - 1;
    char day[DATE_SIZE], first[DATE_SIZE], last[DATE_SIZE], text[160];

    for (size_t i = 0; i < simulation->block_count; i++) {
        const struct simulate_block *block = &simulation->blocks[i];

        if (block->day >= simulation->first_day && block->day <= last_day)
            continue;
        date_print(block->day, day);
        date_print(simulation->first_day, first);
        date_print(last_day, last);
        snprintf(text, sizeof(text), "%s is none of the days that are simulated, %s to %s", day,
                 first, last);
        return complain("--block", text);
    }
    return 0;
}

static const char *
name_of(int c)
{
    static char name[32];

    for (size_t i = 0; options[i].name != NULL; i++)
        if (options[i].val == c)
            snprintf(name, sizeof(name), "--%s", options[i].name);
    return name;
}

/* Two rounds: what is said of streams needs their volumes.  0, or an exit status. */
static int
take_options(struct simulation *simulation, int argc, char **argv)
{
    struct err err;
    int c, r;

    for (int round = 0; round < 2; round++) {
        optind = 1;
        while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
            bool late = c == 'w' || c == 'a';

            if (late != (round == 1))
                continue;
            r = c == 'w'   ? assumed_when(&simulation->assumed, optarg, &err)
                : c == 'a' ? assumed_accounts(&simulation->assumed, optarg, &err)
                           : take_option(simulation, c, optarg, &err);
            if (r < 0)
                return complain(name_of(c), err.msg);
        }
    }
    if (simulation->assumed.count == 0)
        return complain("", "--volume is needed, such as --volume bulk=500000/day");
    if (simulation->assumed.bounced + simulation->assumed.refused > ASSUMED_ALL)
        return complain("", "--bounced and --refused are more than 100 %");
    return check_blocks(simulation);
}

/* ----------------------------------------------------------------------- life */

/* Warm-ups as the daemon has them, a line for each.  0, or an exit status. */
static int
ask_warmups(struct simulation *simulation)
{
    const struct snapshot *snapshot = simulation->conf->snapshot;
    char *answer, *line, *rest;

    if (ctl_ask(simulation->conf, "warmup records", &answer) < 0)
        return CTL_BAD_NEWS;
    simulation->warmups = mem_array(snapshot->address_count, sizeof(*simulation->warmups));
    rest = answer;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *text = strchr(line, ' ');
        const struct address *address;

        if (text == NULL)
            continue;
        *text++ = '\0';
        address = snapshot_find_address(snapshot, line);
        if (address != NULL &&
            warmup_parse(text, strlen(text), &simulation->warmups[address->index]) < 0)
            fprintf(stderr, "postpool: simulate: %s: what the daemon says is no warm-up\n", line);
    }
    free(answer);
    return 0;
}

static void
begin(struct simulation *simulation)
{
    struct assumed *assumed = &simulation->assumed;

    assumed->snapshot = simulation->conf->snapshot;
    assumed->zone = simulation->conf->warmup_zone;
    assumed->bounced = assumed->refused = ASSUMED_ALL / 100;
    simulation->days = DAYS;
    simulation->lifetime_ms = PROSPECT_LIFETIME_MS;
    simulation->seed = 1;
    simulation->first_day = assumed_day(assumed, (int64_t)time(NULL) * 1000) + 1;
    assumed_providers(assumed, NULL, NULL);
    assumed_curve(assumed, "day", NULL);
}

int
ctl_simulate(const struct ctl *ctl, int argc, char **argv)
{
    struct simulation simulation = {0};
    int status = ctl_options(argc, argv, options, usage);

    if (status < 0 && optind < argc)
        status = complain("", "one argument too many; see postpool simulate --help");
    if (status >= 0)
        return status;
    if (ctl_load(ctl->file, &simulation.conf) < 0)
        return CTL_USAGE;
    begin(&simulation);
    status = take_options(&simulation, argc, argv);
    if (status == 0 && simulation.now)
        status = ask_warmups(&simulation);
    if (status == 0)
        status = run(&simulation);
    if (status == CTL_GOOD && simulation.world != NULL)
        status = simulate_show(&simulation, ctl->json);
    world_free(simulation.world);
    free(simulation.warmups);
    assumed_clear(&simulation.assumed);
    conf_unref(simulation.conf);
    return status;
}
