/*
 * What one lookup costs: a running postpool-policyd against a bare round trip
 * between two processes, both ends on one CPU.
 *
 * Prints medians and ratios; asserts nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/measure.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/netstring.h"
#include "lib/tag.h"

#include <getopt.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 7,
    ROUNDS_MAX = 1000,
    PAIRS = 10000, /* a sender and a recipient each, in one round for one server */
    PAIRS_MAX = 1000000,
    WARM_UP = 500,
    MESSAGE_MAX = 1024, /* bytes of one request or reply */
    START_MS = 20000,   /* for a daemon to answer */
    DOMAINS = 100,
};

static const int sizes[] = {10, 1000, 10000}; /* addresses */
enum { SIZES = sizeof(sizes) / sizeof(*sizes), SERVERS = SIZES + 1, BASE = SIZES };

enum kind { SENDER, RCPT, KINDS };

static const char *const kind_names[KINDS] = {"sender", "rcpt"};

struct server {
    pid_t pid;
    int fd;
    double median_us[KINDS][ROUNDS_MAX]; /* of each round */
    double slow_us[KINDS][ROUNDS_MAX];   /* 99 of 100 are faster */
};

struct bench {
    int rounds, pairs, cpu;
    char folder[64];
    struct conf *conf;  /* for the secret of the tags */
    size_t reply_bytes; /* that the echo answers with */
    uint64_t next_id;   /* of a message; none comes twice */
    struct server *servers;
};

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        measure_fail("sched_setaffinity");
}

static int
first_cpu(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        measure_fail("sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            return cpu;
    return 0;
}

/* Root's daemons become somebody; others stay who they are. */
static const char *
user_name(void)
{
    const struct passwd *entry = getpwuid(geteuid() == 0 ? 65534 : geteuid());

    return entry != NULL ? entry->pw_name : "nobody";
}

static void
write_configuration(const struct bench *bench, int addresses)
{
    char *path = mem_printf("%s/%d.conf", bench->folder, addresses);
    FILE *file = fopen(path, "w");

    if (file == NULL)
        measure_fail(path);
    fprintf(file,
            "user = \"%s\";\ntag_secret_file = \"%s/secret\";\n"
            "listen: { lookup = \"unix:%s/%d.lookup\"; control = \"unix:%s/%d.control\";\n"
            "          group = \"\"; };\naddresses: {\n",
            user_name(), bench->folder, bench->folder, addresses, bench->folder, addresses);
    for (int i = 1; i <= addresses; i++)
        fprintf(file, "a%d = { ip = \"127.1.%d.%d\"; helo = \"a%d.mail.test\"; };\n", i, i >> 8,
                i & 255, i);
    fputs("};\npools: { all = { addresses = (", file);
    for (int i = 1; i <= addresses; i++)
        fprintf(file, "%s\"a%d\"", i > 1 ? ", " : "", i);
    fputs("); }; };\nstreams: (\n"
          "  { name = \"bulk\"; pool = \"all\"; match = ( { header = \"List-Id\"; } ); },\n"
          "  { name = \"default\"; pool = \"all\"; match = (); } );\n",
          file);
    if (fclose(file) != 0)
        measure_fail(path);
    free(path);
}

static void
write_secret(const struct bench *bench)
{
    char *path = mem_printf("%s/secret", bench->folder);
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs("0123456789abcdef0123456789abcdef", file) < 0 || fclose(file) != 0)
        measure_fail(path);
    free(path);
}

static char *
daemon_path(void)
{
    const char *build = getenv("POSTPOOL_BUILD");
    char *path = mem_printf("%s/postpool-policyd", build != NULL ? build : ".");

    if (access(path, X_OK) < 0) {
        fprintf(stderr, "bench/lookup: no %s (set POSTPOOL_BUILD)\n", path);
        exit(1);
    }
    return path;
}

static void
start_policyd(const struct bench *bench, struct server *server, int addresses)
{
    char *conf = mem_printf("%s/%d.conf", bench->folder, addresses);
    char *log = mem_printf("%s/%d.log", bench->folder, addresses);
    char *path = daemon_path();
    char *lookup;

    write_configuration(bench, addresses);
    server->pid = fork();
    if (server->pid == 0) {
        if (freopen(log, "w", stderr) == NULL)
            _exit(1);
        execl(path, path, "-c", conf, "-f", (char *)NULL);
        _exit(1);
    }
    lookup = mem_printf("%s/%d.lookup", bench->folder, addresses);
    server->fd = measure_connect(lookup, START_MS);
    free(lookup);
    free(path);
    free(log);
    free(conf);
}

/* Answers whatever comes with as many bytes as a lookup is answered with. */
static void
echo(const struct bench *bench, int fd)
{
    char data[MESSAGE_MAX] = {0};

    while (read(fd, data, sizeof(data)) > 0)
        if (write(fd, data, bench->reply_bytes) < 0)
            break;
    _exit(0);
}

static void
start_echo(const struct bench *bench, struct server *server)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        measure_fail("socketpair");
    server->pid = fork();
    if (server->pid == 0) {
        close(ends[0]);
        echo(bench, ends[1]);
    }
    close(ends[1]);
    server->fd = ends[0];
}

/* One request as Postfix sends it; returns its length. */
static size_t
print_request(struct bench *bench, enum kind kind, char out[static MESSAGE_MAX])
{
    char plain[64], sender[TAG_SENDER_SIZE], id[TAG_ID_LENGTH + 1];
    char key[MESSAGE_MAX - 16];
    int length;

    if (kind == SENDER) {
        bench->next_id++;
        tag_id(bench->next_id * 0x9e3779b97f4a7c15u, time(NULL), id);
        snprintf(plain, sizeof(plain), "news@client%llu.example.com",
                 (unsigned long long)bench->next_id % DOMAINS);
        if (tag_add(bench->conf->secret, plain, "bulk", id, sender) < 0)
            measure_fail("tag_add");
        length = snprintf(key, sizeof(key), "sender %s", sender);
    } else {
        length = snprintf(key, sizeof(key), "rcpt some.body%llu@mailbox%llu.example.net",
                          (unsigned long long)bench->next_id,
                          (unsigned long long)bench->next_id % DOMAINS);
    }
    return (size_t)snprintf(out, MESSAGE_MAX, "%d:%s,", length, key);
}

/* Write and wait for the answer.  Returns how long that took. */
static double
ask(const struct server *server, const char *request, size_t length, char *reply, size_t *ret_bytes)
{
    double start = measure_now_us();
    ssize_t bytes = -1;

    if (write(server->fd, request, length) == (ssize_t)length)
        bytes = read(server->fd, reply, MESSAGE_MAX);
    if (bytes <= 0)
        measure_fail("a server does not answer");
    *ret_bytes = (size_t)bytes;
    return measure_now_us() - start;
}

static void
check_answer(const char *reply, size_t bytes)
{
    struct netstring netstring;

    if (netstring_parse(reply, bytes, MESSAGE_MAX, &netstring) == 1 && netstring.length > 6 &&
        memcmp(netstring.data, "OK pp-", 6) == 0)
        return;
    fprintf(stderr, "bench/lookup: the answer is %.*s\n", (int)bytes, reply);
    exit(1);
}

static void
run_round(struct bench *bench, int which, int round)
{
    struct server *server = &bench->servers[which];
    double *times[KINDS];
    char request[MESSAGE_MAX], reply[MESSAGE_MAX];
    size_t bytes;

    for (int kind = 0; kind < KINDS; kind++)
        times[kind] = mem_array((size_t)bench->pairs, sizeof(double));
    for (int i = -WARM_UP; i < bench->pairs; i++) {
        for (int kind = 0; kind < KINDS; kind++) {
            size_t length = print_request(bench, (enum kind)kind, request);
            double us = ask(server, request, length, reply, &bytes);

            if (i >= 0)
                times[kind][i] = us;
            if (which != BASE && i < 0)
                check_answer(reply, bytes);
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        server->slow_us[kind][round] = measure_quantile(times[kind], bench->pairs, 0.99);
        server->median_us[kind][round] = measure_quantile(times[kind], bench->pairs, 0.5);
        free(times[kind]);
    }
}

static double
median(const double *values, int count)
{
    double copy[ROUNDS_MAX];

    memcpy(copy, values, (size_t)count * sizeof(*copy));
    return measure_quantile(copy, count, 0.5);
}

/* The median of the rounds' own ratios: what moves a whole round falls out. */
static double
ratio(const struct bench *bench, int which, int by, int kind)
{
    double ratios[ROUNDS_MAX];

    for (int i = 0; i < bench->rounds; i++)
        ratios[i] =
            bench->servers[which].median_us[kind][i] / bench->servers[by].median_us[kind][i];
    return median(ratios, bench->rounds);
}

static void
print_line(const struct bench *bench, const char *name, int which, int kind)
{
    const struct server *server = &bench->servers[which];

    printf("%-16s %-7s %10.2f %8.2f %8.2f", name, kind_names[kind],
           median(server->median_us[kind], bench->rounds),
           median(server->slow_us[kind], bench->rounds), ratio(bench, which, BASE, kind));
    if (which != BASE)
        printf(" %12.2f", ratio(bench, which, 0, kind));
    putchar('\n');
}

static void
print_table(const struct bench *bench)
{
    printf("one lookup, both ends on CPU %d, median of %d rounds of %d\n\n", bench->cpu,
           bench->rounds, bench->pairs);
    printf("%-16s %-7s %10s %8s %8s %12s\n", "server", "map", "median us", "p99 us", "x base",
           "x 10 addr.");
    for (int kind = 0; kind < KINDS; kind++)
        print_line(bench, "bare round trip", BASE, kind);
    for (int i = 0; i < SIZES; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%d addresses", sizes[i]);
        for (int kind = 0; kind < KINDS; kind++)
            print_line(bench, name, i, kind);
    }
    printf("\ntargets: x base at most 1.50; x 10 addresses at most 1.25\n");
}

static void
measure(struct bench *bench)
{
    bool progress = isatty(STDERR_FILENO);

    for (int round = 0; round < bench->rounds; round++) {
        if (progress)
            fprintf(stderr, "\rround %d of %d ", round + 1, bench->rounds);
        for (int i = 0; i < SERVERS; i++) /* each round starts with another one */
            run_round(bench, (i + round) % SERVERS, round);
    }
    if (progress)
        fprintf(stderr, "\r                      \r");
}

static void
set_up(struct bench *bench)
{
    char request[MESSAGE_MAX], reply[MESSAGE_MAX];
    struct conf_problems problems = {0};
    char *first;
    size_t length;

    strcpy(bench->folder, "/tmp/postpool-bench-XXXXXX");
    if (mkdtemp(bench->folder) == NULL || chmod(bench->folder, 0755) < 0)
        measure_fail(bench->folder);
    write_secret(bench);
    for (int i = 0; i < SIZES; i++)
        start_policyd(bench, &bench->servers[i], sizes[i]);
    first = mem_printf("%s/%d.conf", bench->folder, sizes[0]);
    if (conf_load(first, &bench->conf, &problems) < 0)
        measure_fail(first);
    conf_problems_clear(&problems);
    free(first);
    length = print_request(bench, SENDER, request);
    ask(&bench->servers[0], request, length, reply, &bench->reply_bytes);
    start_echo(bench, &bench->servers[BASE]);
}

static void
take_down(struct bench *bench)
{
    static const char *const names[] = {"conf", "log", "lookup", "control"};
    char *path = mem_printf("%s/secret", bench->folder);

    unlink(path);
    free(path);
    for (int i = 0; i < SERVERS; i++) {
        close(bench->servers[i].fd);
        if (bench->servers[i].pid > 0) {
            kill(bench->servers[i].pid, SIGTERM);
            waitpid(bench->servers[i].pid, NULL, 0);
        }
    }
    for (int i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++) {
            path = mem_printf("%s/%d.%s", bench->folder, sizes[i], names[j]);
            unlink(path);
            free(path);
        }
    }
    rmdir(bench->folder);
    conf_unref(bench->conf);
}

static struct bench *at_exit;

static void
on_exit_end_servers(void)
{
    struct bench *bench = at_exit;

    at_exit = NULL;
    if (bench != NULL)
        take_down(bench);
}

static void
on_end(int number)
{
    exit(128 + number);
}

static int
number(const char *text, int max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*end == '\0' && value >= 0 && value <= max)
        return (int)value;
    fprintf(stderr, "bench/lookup: \"%s\" is no number up to %d\n", text, max);
    exit(2);
}

static const char help[] =
    "usage: bench/lookup [--rounds N] [--pairs N] [--cpu N]\n"
    "What one lookup costs, against a bare round trip between two processes.\n\n"
    "  --rounds N  interleaved rounds (default: 7)\n"
    "  --pairs N   sender and rcpt lookups in a round, each (default: 10000)\n"
    "  --cpu N     where both ends run (default: the first one allowed)\n\n"
    "POSTPOOL_BUILD names the folder that postpool was built in (default: .)\n";

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"pairs", required_argument, NULL, 'p'},
        {"cpu", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench bench = {.rounds = ROUNDS, .pairs = PAIRS, .cpu = first_cpu()};
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'r')
            bench.rounds = number(optarg, ROUNDS_MAX);
        else if (c == 'p')
            bench.pairs = number(optarg, PAIRS_MAX);
        else if (c == 'c')
            bench.cpu = number(optarg, CPU_SETSIZE - 1);
        else
            return fputs(help, c == 'h' ? stdout : stderr) < 0 || c != 'h' ? 2 : 0;
    }
    if (bench.rounds < 1 || bench.pairs < 1 || optind < argc)
        return fputs(help, stderr) < 0 ? 1 : 2;
    bench.servers = mem_array(SERVERS, sizeof(*bench.servers));
    pin(bench.cpu); /* children, too */
    at_exit = &bench;
    signal(SIGINT, on_end);
    signal(SIGTERM, on_end);
    atexit(on_exit_end_servers);
    set_up(&bench);
    measure(&bench);
    print_table(&bench);
    on_exit_end_servers();
    free(bench.servers);
    return 0;
}
