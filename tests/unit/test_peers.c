/*
 * The stream server, with a protocol of lines: "a" is answered "1a", by its
 * number on the connection, "w" waits, "!" is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "policyd/peers.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 5000, ANSWER_MAX = 64, WAIT_MS = 20, LIMIT_S = 60, COUNT_MAX = 3 };

struct world {
    struct event_base *base;
    struct peers *peers;
    struct sockaddr_un address;
    bool ready;      /* what waits is there */
    int64_t came_ms; /* when a request first had to wait */
    int64_t late_ms; /* when one was answered that was not to wait any longer */
};

static ssize_t
serve(void *arg, const struct peers_request *request, struct peers_answer *ret_answer)
{
    struct world *world = arg;
    const char *end = memchr(request->data, '\n', request->length);
    int *number = request->session;

    assert_true(request->length > 0);
    if (end == NULL)
        return PEERS_MORE;
    if (request->data[0] == '!') {
        strcpy(ret_answer->err.msg, "no such request");
        return PEERS_REFUSE;
    }
    if (request->data[0] == 'w' && !world->ready) {
        if (request->may_wait) {
            world->came_ms = world->came_ms != 0 ? world->came_ms : request->now_ms;
            return PEERS_WAIT;
        }
        world->late_ms = request->now_ms;
    }
    ret_answer->length =
        (size_t)snprintf(ret_answer->data, ANSWER_MAX, "%d%c\n", ++*number, request->data[0]);
    return end + 1 - request->data;
}

static const struct peers_protocol protocol = {
    .who = "test client",
    .request_max = REQUEST_MAX,
    .answer_max = ANSWER_MAX,
    .session_size = sizeof(int),
    .wait_ms = WAIT_MS,
    .serve = serve,
};

static int
setup(void **state)
{
    struct world *world = mem_new(sizeof(*world));
    socklen_t size = sizeof(world->address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    world->address.sun_family = AF_UNIX; /* a name of its own, in no file system */
    assert_int_equal(bind(fd, (struct sockaddr *)&world->address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 8), 0);
    getsockname(fd, (struct sockaddr *)&world->address, &size);
    world->base = event_base_new();
    world->peers = peers_new(world->base, fd, COUNT_MAX, &protocol, world);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    peers_free(world->peers);
    event_base_free(world->base);
    free(world);
    return 0;
}

static int
client_open(struct world *world)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    size_t length = offsetof(struct sockaddr_un, sun_path) + 6; /* a NUL and five digits */

    assert_int_equal(connect(fd, (struct sockaddr *)&world->address, (socklen_t)length), 0);
    return fd;
}

static void
client_say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Run the loop until the client has this to read; "": until its connection ends. */
static void
client_hears(struct world *world, int fd, const char *text)
{
    time_t end = time(NULL) + LIMIT_S;
    size_t length = strlen(text), heard = 0;
    char data[256];

    assert_true(length < sizeof(data));
    while (heard < length || length == 0) {
        ssize_t r = recv(fd, data + heard, length > 0 ? length - heard : 1, 0);

        assert_true(time(NULL) < end);
        if (r < 0 && errno == EAGAIN) {
            event_base_loop(world->base, EVLOOP_NONBLOCK);
            continue;
        }
        if (length == 0)
            break;
        assert_true(r > 0);
        heard += (size_t)r;
    }
    assert_memory_equal(data, text, length);
}

static void
until_waiting(struct world *world, uint64_t waits)
{
    time_t end = time(NULL) + LIMIT_S;

    while (peers_figures(world->peers)->waits < waits) {
        assert_true(time(NULL) < end);
        event_base_loop(world->base, EVLOOP_ONCE);
    }
}

static void
test_answers(void **state)
{
    struct world *world = *state;
    int one = client_open(world), two = client_open(world);

    client_say(one, "a\nb\nc\nlo");
    client_hears(world, one, "1a\n2b\n3c\n");
    client_say(two, "d\n");
    client_hears(world, two, "1d\n");
    client_say(one, "ng\n");
    client_hears(world, one, "4l\n");
    assert_int_equal(peers_figures(world->peers)->requests, 5);
    assert_int_equal(peers_figures(world->peers)->connections, 2);
    close(one);
    close(two);
}

/* What came before it is answered; what comes after it is not. */
static void
test_refused(void **state)
{
    struct world *world = *state;
    int fd = client_open(world);

    client_say(fd, "a\n!\nb\n");
    client_hears(world, fd, "1a\n");
    client_hears(world, fd, "");
    assert_int_equal(peers_figures(world->peers)->malformed, 1);
    assert_int_equal(peers_figures(world->peers)->count, 0);
    close(fd);
}

static void
test_the_longest(void **state)
{
    struct world *world = *state;
    int fd = client_open(world);
    char text[REQUEST_MAX + 1];

    memset(text, 'x', REQUEST_MAX);
    text[REQUEST_MAX] = '\0';
    text[REQUEST_MAX - 1] = '\n';
    client_say(fd, text);
    client_hears(world, fd, "1x\n");
    text[REQUEST_MAX - 1] = 'x';
    client_say(fd, text);
    client_hears(world, fd, "");
    assert_int_equal(peers_figures(world->peers)->malformed, 1);
    close(fd);
}

/* Who waits keeps nobody else waiting, and is answered in order. */
static void
test_waiting(void **state)
{
    struct world *world = *state;
    int one = client_open(world), two = client_open(world);

    client_say(one, "a\nw\nb\n");
    client_hears(world, one, "1a\n");
    until_waiting(world, 1);
    peers_resume(world->peers); /* not what it waits for */
    client_say(one, "d\n");
    client_say(two, "c\n");
    client_hears(world, two, "1c\n");
    world->ready = true;
    peers_resume(world->peers);
    client_hears(world, one, "2w\n3b\n4d\n");
    assert_int_equal(peers_figures(world->peers)->waits, 1);
    close(one);
    close(two);
}

/* Each request has its own time, and all of it. */
static void
test_no_longer(void **state)
{
    struct world *world = *state;
    int fd = client_open(world);

    client_say(fd, "w\nw\n");
    client_hears(world, fd, "1w\n2w\n");
    assert_true(world->late_ms >= world->came_ms + 2 * WAIT_MS);
    assert_int_equal(peers_figures(world->peers)->waits, 2);
    close(fd);
}

static void
test_gone_while_waiting(void **state)
{
    struct world *world = *state;
    int one = client_open(world), two = client_open(world), three = client_open(world);

    client_say(one, "w\n");
    client_say(two, "w\nw\nw\n");
    client_say(three, "w\n");
    until_waiting(world, 3);
    close(two);
    world->ready = true;
    peers_resume(world->peers);
    client_hears(world, one, "1w\n");
    client_hears(world, three, "1w\n");
    world->ready = false;
    client_say(three, "w\n"); /* the end comes with it waiting */
    until_waiting(world, 4);
    close(one);
    close(three);
}

static void
test_evicted_while_waiting(void **state)
{
    struct world *world = *state;
    int clients[COUNT_MAX + 1];

    for (int i = 0; i <= COUNT_MAX; i++) {
        clients[i] = client_open(world);
        client_say(clients[i], "w\n");
        until_waiting(world, (uint64_t)i + 1);
    }
    client_hears(world, clients[0], "");
    world->ready = true;
    peers_resume(world->peers);
    for (int i = 0; i <= COUNT_MAX; i++) {
        if (i > 0)
            client_hears(world, clients[i], "1w\n");
        close(clients[i]);
    }
}

static void
test_room_for_another(void **state)
{
    struct world *world = *state;
    int clients[COUNT_MAX + 1];

    for (int i = 0; i < COUNT_MAX; i++) {
        clients[i] = client_open(world);
        client_say(clients[i], "a\n");
        client_hears(world, clients[i], "1a\n");
    }
    client_say(clients[0], "b\n"); /* now the next one is the quietest */
    client_hears(world, clients[0], "2b\n");
    clients[COUNT_MAX] = client_open(world);
    client_hears(world, clients[1], "");
    client_say(clients[COUNT_MAX], "a\n");
    client_hears(world, clients[COUNT_MAX], "1a\n");
    client_say(clients[0], "c\n");
    client_hears(world, clients[0], "3c\n");
    assert_int_equal(peers_figures(world->peers)->evicted, 1);
    assert_int_equal(peers_figures(world->peers)->count, COUNT_MAX);
    for (int i = 0; i <= COUNT_MAX; i++)
        close(clients[i]);
}

/* Who takes no answers is not read from, and gets all of them once he does. */
static void
test_answers_that_are_not_taken(void **state)
{
    enum { REQUESTS = 1000000 };
    struct world *world = *state;
    const struct peers_figures *figures = peers_figures(world->peers);
    int fd = client_open(world), small = 4096, blocked = 0, said = 0;
    char expected[16];

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (said < REQUESTS && blocked < 100) {
        uint64_t before = figures->requests;

        if (send(fd, "a\n", 2, MSG_NOSIGNAL) == 2) {
            said++;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        event_base_loop(world->base, EVLOOP_NONBLOCK);
        blocked = figures->requests == before ? blocked + 1 : 0;
    }
    assert_int_equal(blocked, 100);
    assert_true(figures->requests < (uint64_t)said);
    for (int i = 1; i <= said; i++) {
        snprintf(expected, sizeof(expected), "%da\n", i);
        client_hears(world, fd, expected);
    }
    assert_int_equal(figures->requests, said);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_longest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evicted_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_that_are_not_taken, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
