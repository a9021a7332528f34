/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/milter.h"

#include "lib/conf.h"
#include "lib/daemon.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "milter/session.h"

#include <errno.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct conf *current; /* guarded by lock */
static sigset_t reload_signal;
static atomic_bool ending; /* wait_for_reload() shall return */

/* One client of Postfix, from its connect to its end. */
struct connection {
    struct session *session;
    unsigned long steps; /* what was negotiated */
};

static struct conf *
current_conf(void)
{
    struct conf *conf;

    pthread_mutex_lock(&lock);
    conf = conf_ref(current);
    pthread_mutex_unlock(&lock);
    return conf;
}

static struct connection *
connection_new(SMFICTX *ctx)
{
    struct connection *connection = mem_new(sizeof(*connection));

    connection->session = session_new();
    smfi_setpriv(ctx, connection);
    return connection;
}

/* libmilter hands on what comes, also a message without a connection before it. */
static struct connection *
connection_of(SMFICTX *ctx)
{
    struct connection *connection = smfi_getpriv(ctx);

    return connection != NULL ? connection : connection_new(ctx);
}

/*
 * Only the steps that are used are asked for: each one left out saves a trip
 * between Postfix and us.  Macros are asked for by name, so that a site's own
 * milter_*_macros do not matter.
 */
static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long unused2,
             unsigned long unused3, unsigned long *ret_actions, unsigned long *ret_steps,
             unsigned long *ret_unused2, unsigned long *ret_unused3)
{
    unsigned long wanted = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGFROM;
    unsigned long without = SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOUNKNOWN;
    struct connection *connection;
    struct conf *conf = current_conf();

    (void)unused2;
    (void)unused3;
    without |= conf->complaint_addresses.count > 0 ? SMFIP_SKIP : SMFIP_NOBODY;
    conf_unref(conf);
    if ((actions & wanted) != wanted) {
        log_error(
            "Postfix does not let a milter change the sender and headers -- connection refused");
        return SMFIS_REJECT;
    }
    if (actions & SMFIF_SETSYMLIST) {
        wanted |= SMFIF_SETSYMLIST;
        smfi_setsymlist(ctx, SMFIM_CONNECT, (char *)"{daemon_name}");
        smfi_setsymlist(ctx, SMFIM_ENVFROM, (char *)"i {auth_authen} {mail_addr}");
        smfi_setsymlist(ctx, SMFIM_ENVRCPT, (char *)"{rcpt_mailer}");
        smfi_setsymlist(ctx, SMFIM_EOM, (char *)"i");
    }
    *ret_actions = wanted;
    *ret_steps = steps & (without | SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR);
    *ret_unused2 = 0;
    *ret_unused3 = 0;
    connection = connection_of(ctx);
    connection->steps = *ret_steps;
    return SMFIS_CONTINUE;
}

/* The answer to a step that Postfix may not be waiting for. */
static sfsistat
go_on(const struct connection *connection, unsigned long no_reply)
{
    return connection->steps & no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/*
 * sendmail(1) speaks through cleanup(8), which pretends a connection from the
 * loopback address, port 0; no client can have that.
 */
static void
set_client(struct session *session, const struct sockaddr *sa)
{
    static const struct ip loopback4 = {4, {127, 0, 0, 1}};
    static const struct ip loopback6 = {6, {[15] = 1}};
    in_port_t port;

    if (sa != NULL && sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;

        session->client.family = 4;
        memcpy(session->client.bytes, &in->sin_addr, 4);
        port = in->sin_port;
    } else if (sa != NULL && sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;

        session->client.family = 6;
        memcpy(session->client.bytes, &in6->sin6_addr, 16);
        port = in6->sin6_port;
    } else {
        return;
    }
    session->submission = port == 0 && (ip_compare(&session->client, &loopback4) == 0 ||
                                        ip_compare(&session->client, &loopback6) == 0);
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, struct sockaddr *sa)
{
    struct connection *connection = connection_of(ctx);
    const char *daemon = smfi_getsymval(ctx, (char *)"{daemon_name}");

    (void)name;
    set_client(connection->session, sa);
    if (daemon != NULL && connection->session->daemon == NULL)
        connection->session->daemon = mem_strdup(daemon);
    return go_on(connection, SMFIP_NR_CONN);
}

static sfsistat
on_mail(SMFICTX *ctx, char **arguments)
{
    struct connection *connection = connection_of(ctx);
    const char *user = smfi_getsymval(ctx, (char *)"{auth_authen}");

    session_mail(connection->session, current_conf(), arguments[0],
                 smfi_getsymval(ctx, (char *)"{mail_addr}"),
                 user != NULL && user[0] != '\0' ? user : NULL);
    return go_on(connection, SMFIP_NR_MAIL);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **arguments)
{
    struct connection *connection = connection_of(ctx);

    session_rcpt(connection->session, arguments[0], smfi_getsymval(ctx, (char *)"{rcpt_mailer}"));
    return go_on(connection, SMFIP_NR_RCPT);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
    struct connection *connection = connection_of(ctx);

    session_header(connection->session, name, value);
    return go_on(connection, SMFIP_NR_HDR);
}

/* Only reports are read: of anything else Postfix keeps the rest to itself. */
static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t length)
{
    struct connection *connection = connection_of(ctx);

    if (!session_body(connection->session, data, length) && connection->steps & SMFIP_SKIP)
        return SMFIS_SKIP;
    return SMFIS_CONTINUE;
}

/* From the last to the first: each removal counts the others anew (CVE-2022-48521). */
static int
remove_headers(SMFICTX *ctx, const char *name, unsigned count)
{
    int r = MI_SUCCESS;

    for (unsigned i = count; i > 0 && r == MI_SUCCESS; i--)
        r = smfi_chgheader(ctx, (char *)name, (int)i, NULL);
    return r;
}

/* What passes for ours, and what is for us alone. */
static int
remove_own(SMFICTX *ctx, const struct session *session)
{
    const struct conf *conf = session->conf;
    int r = remove_headers(ctx, conf->stream_header, session->own_headers);

    if (r == MI_SUCCESS)
        r = remove_headers(ctx, conf->mark_header, session->own_marks);
    return r == MI_SUCCESS ? remove_headers(ctx, conf->hint.header, session->hint_headers) : r;
}

static int
carry_out(SMFICTX *ctx, const struct session *session, const struct verdict *verdict)
{
    const struct conf *conf = session->conf;
    int r = remove_own(ctx, session);

    for (size_t i = 0; i < conf->strip.count && r == MI_SUCCESS; i++)
        r = remove_headers(ctx, conf->strip.items[i], session->strip_counts[i]);
    if (r == MI_SUCCESS)
        r = smfi_addheader(ctx, conf->stream_header, verdict->stream->name);
    if (r == MI_SUCCESS && verdict->mark[0] != '\0')
        r = smfi_addheader(ctx, conf->mark_header, (char *)verdict->mark);
    if (r == MI_SUCCESS && verdict->feedback_id[0] != '\0')
        r = smfi_addheader(ctx, (char *)"Feedback-ID", (char *)verdict->feedback_id);
    if (r == MI_SUCCESS && verdict->tag)
        r = smfi_chgfrom(ctx, (char *)verdict->sender, NULL);
    return r;
}

/* It does not meet what its stream requires: may it go out? */
static sfsistat
say_unmet(SMFICTX *ctx, const struct session *session, const struct verdict *verdict,
          const char *queue_id)
{
    static const char *const then[] = {"warn", "tempfail", "reject"};
    enum unmet unmet = verdict->stream->unmet;
    char names[BULK_NAMES_SIZE];

    log_info("%s: require: stream=%s, unmet=%s, then=%s, from=<%s>", queue_id,
             verdict->stream->name, bulk_print(verdict->unmet, names), then[unmet],
             session->sender);
    if (unmet == UNMET_WARN)
        return SMFIS_CONTINUE;
    smfi_setreply(ctx, (char *)(unmet == UNMET_REJECT ? "550" : "451"),
                  (char *)(unmet == UNMET_REJECT ? "5.7.1" : "4.7.1"),
                  (char *)bulk_reply(verdict->unmet));
    return unmet == UNMET_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

/* Does what was decided, and says so. */
static sfsistat
act(SMFICTX *ctx, const struct session *session, const struct verdict *verdict,
    const char *queue_id)
{
    sfsistat answer = SMFIS_CONTINUE;
    char hint[HINT_TEXT_SIZE];

    if (verdict->stream == NULL)
        /* The site's own mail to itself is left as it is otherwise. */
        return remove_own(ctx, session) == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
    if (verdict->unmet != 0)
        answer = say_unmet(ctx, session, verdict, queue_id);
    if (answer != SMFIS_CONTINUE)
        return answer;
    if (carry_out(ctx, session, verdict) != MI_SUCCESS) {
        log_error("%s: Postfix does not take the changes -- message is deferred", queue_id);
        return SMFIS_TEMPFAIL;
    }
    if (verdict->too_odd)
        log_warn("%s: sender <%s> cannot carry a tag -- the sender alone will tell the stream",
                 queue_id, session->sender);
    else
        log_info("%s: stream=%s, id=%s, from=<%s>%s%s", queue_id, verdict->stream->name,
                 verdict->id, session->sender, verdict->hint != HINT_NONE ? ", hint=" : "",
                 hint_print(verdict->hint, verdict->hint_day, hint));
    return SMFIS_CONTINUE;
}

/* A connection from before a reload that brought the addresses has told no bodies. */
static void
tell_report(const struct connection *connection, const char *queue_id)
{
    bool told = (connection->steps & SMFIP_NOBODY) == 0;
    char *line = told ? session_report(connection->session) : NULL;

    if (line != NULL)
        log_info("%s: %s", queue_id, line);
    free(line);
}

static sfsistat
on_end_of_message(SMFICTX *ctx)
{
    struct connection *connection = connection_of(ctx);
    struct session *session = connection->session;
    const char *queue_id = smfi_getsymval(ctx, (char *)"i");
    struct verdict verdict;
    uint64_t random = 0;
    sfsistat answer;

    if (queue_id == NULL)
        queue_id = "NOQUEUE";
    if (session->conf == NULL) {
        log_warn("%s: end of a message that did not begin -- deferred", queue_id);
        return SMFIS_TEMPFAIL;
    }
    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
        log_error("%s: getrandom: %s -- message is deferred", queue_id, strerror(errno));
        return SMFIS_TEMPFAIL;
    }
    session_verdict(session, random, time(NULL), &verdict);
    answer = act(ctx, session, &verdict, queue_id);
    if (answer == SMFIS_CONTINUE) /* else it comes again, and counts once */
        tell_report(connection, queue_id);
    session_reset(session);
    return answer;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
    struct connection *connection = smfi_getpriv(ctx);

    if (connection != NULL)
        session_reset(connection->session);
    return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
    struct connection *connection = smfi_getpriv(ctx);

    if (connection == NULL)
        return SMFIS_CONTINUE;
    session_free(connection->session);
    free(connection);
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static void
on_change(void *arg, const char *line)
{
    (void)arg;
    log_info("reload: %s", line);
}

/* The socket and the process' id are made at the start only. */
static void
warn_of_restart(const struct conf *before, const struct conf *after)
{
    if (strcmp(before->milter_socket, after->milter_socket) != 0 ||
        strcmp(before->milter_owner, after->milter_owner) != 0 ||
        strcmp(before->milter_group, after->milter_group) != 0 ||
        before->milter_mode != after->milter_mode ||
        strcmp(before->milter_pid_file, after->milter_pid_file) != 0 ||
        strcmp(before->user, after->user) != 0 || strcmp(before->group, after->group) != 0)
        log_warn("user, group and milter.socket, owner, group, mode and pid_file take effect at "
                 "the next restart");
}

/* Sessions in the middle of a message keep what they began with. */
static void
reload(void)
{
    struct conf *before = current_conf(), *after = NULL;

    if (daemon_load(before->file, &after) == 0 && after->secret_known) {
        size_t changes = conf_diff_short(before, after, on_change, NULL);

        warn_of_restart(before, after);
        pthread_mutex_lock(&lock);
        current = after;
        pthread_mutex_unlock(&lock);
        conf_unref(before); /* what current held */
        log_info("reload: configuration taken over changes=%zu", changes);
    } else {
        conf_unref(after);
        log_error("reload: configuration refused -- the running one stays");
    }
    conf_unref(before);
}

static void *
wait_for_reload(void *arg)
{
    int number;

    (void)arg;
    while (sigwait(&reload_signal, &number) == 0 && !ending)
        reload();
    return NULL;
}

static struct smfiDesc description = {
    .xxfi_name = (char *)"postpool",
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGFROM | SMFIF_SETSYMLIST,
    .xxfi_connect = on_connect,
    .xxfi_envfrom = on_mail,
    .xxfi_envrcpt = on_rcpt,
    .xxfi_header = on_header,
    .xxfi_body = on_body,
    .xxfi_eom = on_end_of_message,
    .xxfi_abort = on_abort,
    .xxfi_close = on_close,
    .xxfi_negotiate = on_negotiate,
};

/* "inet:host:port" is "inet:port@host" in libmilter's words. */
static char *
libmilter_socket(const char *endpoint)
{
    const char *host = strncmp(endpoint, "inet:", 5) == 0 ? endpoint + 5 : NULL;
    const char *colon = host != NULL ? strrchr(host, ':') : NULL;
    size_t length = colon != NULL ? (size_t)(colon - host) : 0;

    if (colon == NULL)
        return mem_strdup(endpoint);
    if (host[0] == '[')
        return mem_printf("inet6:%s@%.*s", colon + 1, (int)length - 2, host + 1);
    return mem_printf("inet:%s@%.*s", colon + 1, (int)length, host);
}

int
milter_open(struct conf *conf, const struct endpoint_access *access, struct err *err)
{
    char *where = libmilter_socket(conf->milter_socket);
    const char *path = endpoint_path(conf->milter_socket);
    sigset_t blocked;
    mode_t before;
    int r = 0;

    current = conf_ref(conf);
    if (smfi_register(description) == MI_FAILURE || smfi_setconn(where) == MI_FAILURE)
        r = err_set(err, -EINVAL, "milter.socket: %s: libmilter does not take it",
                    conf->milter_socket);
    free(where);
    sigemptyset(&reload_signal);
    sigaddset(&reload_signal, SIGUSR1);
    /*
     * Blocked in every thread that is made from here on: the reload thread waits
     * for the one, libmilter's own thread for the others, which would otherwise
     * end the program at once in whatever thread leaves them open.
     */
    blocked = reload_signal;
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    smfi_setbacklog(ENDPOINT_BACKLOG);
    if (r == 0)
        r = endpoint_clear(conf->milter_socket, err);
    before = umask(0777); /* nobody connects before it is given to whom it shall belong */
    if (r == 0 && smfi_opensocket(true) == MI_FAILURE)
        r = err_set(err, -EADDRINUSE, "milter.socket: %s: cannot listen there",
                    conf->milter_socket);
    umask(before);
    if (r == 0 && path != NULL)
        r = endpoint_give(path, access, err);
    return r;
}

int
milter_run(void)
{
    pthread_t thread;
    int r;

    r = pthread_create(&thread, NULL, wait_for_reload, NULL);
    if (r != 0) {
        log_error("cannot make the thread for reloads: %s", strerror(r));
        return 1;
    }
    log_info("ready: %zu streams", current->snapshot->stream_count);
    r = smfi_main();
    ending = true;
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    conf_unref(current);
    current = NULL;
    return r == MI_SUCCESS ? 0 : 1;
}
