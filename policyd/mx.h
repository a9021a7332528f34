/*
 * Which provider does a recipient domain belong to, by its MX records?  Looked
 * up beside the lookups of Postfix, which never wait for it.
 *
 * A domain that is not known yet is asked for, and whoever wants to know counts
 * it as "other" meanwhile, with mx_note(); when the answer is there the notes
 * come back, to be counted anew.  Without DNS everything that the providers'
 * "domains" do not name is "other", or what it was when DNS was last there.
 *
 * Everything is bounded by the numbers below, whatever is asked for and
 * whatever DNS servers answer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_MX_H
#define POLICYD_MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_start;
struct event_base;
struct mx;
struct provider;
struct snapshot;

enum {
    MX_KEPT_MAX = 100000,        /* answers; beyond it the one used longest ago goes */
    MX_KEPT_BYTES_MAX = 1 << 26, /* of memory that they take */
    MX_IN_FLIGHT_MAX = 200,
    MX_QUEUED_MAX = 10000, /* beyond it a lookup is not started, until asked for again */
    MX_NOTES_MAX = 64,     /* addresses noted for a domain; more stay with "other" */

    MX_TTL_MIN_MS = 60 * 1000,
    MX_TTL_MAX_MS = 24 * 3600 * 1000,
    MX_NEGATIVE_MS = 15 * 60 * 1000, /* no such domain, or no MX record */
    MX_FAILED_MS = 60 * 1000,        /* the lookup failed */
    MX_STALE_MS = 24 * 3600 * 1000,  /* an old answer that cannot be renewed counts for so long */
};

/* What was counted as "other" for one address while a domain was not known. */
struct mx_note {
    uint32_t address; /* place in snapshot.addresses */
    unsigned count;
};

/*
 * A domain that has notes turned out to be a provider's, not "other".  Called
 * from the loop, never from inside the functions below; all pointers are gone
 * when it returns.  provider is of the running snapshot.
 */
typedef void mx_known_fn(void *arg, const char *domain, const struct provider *provider,
                         const struct mx_note *notes, size_t count);

struct mx_figures {
    uint64_t lookups; /* questions that were begun; each counts once, however often it is sent */
    uint64_t failures;
    uint64_t dropped; /* not begun: too many waited */
    size_t in_flight;
    size_t queued;
    size_t cached;
};

/* snapshot: not ours.  known may be NULL.  Without c-ares, which is logged, every lookup fails. */
struct mx *mx_new(struct event_base *base, const struct snapshot *snapshot,
                  const struct dns_start *start, mx_known_fn *known, void *arg);
void mx_free(struct mx *mx); /* takes NULL; open lookups are forgotten */

/*
 * Whose domain is; "other" for what nobody's domains or MX hosts say.  NULL
 * when that is not known yet; the domain is then asked for.  The pointer is of
 * the running snapshot.  Never waits and makes no system call.
 *
 * now_ms: monotonic.  An answer whose time is over still counts, and is asked
 * for anew.
 */
const struct provider *mx_provider(struct mx *mx, const char *domain, int64_t now_ms);

/*
 * count recipients in domain were counted as "other" for the address, because
 * mx_provider() just said NULL.  Forgotten when the lookup fails, and when it
 * was not begun.
 */
void mx_note(struct mx *mx, const char *domain, uint32_t address, unsigned count);

/*
 * Another snapshot is running.  To be called while the one before is still
 * there.  Answers stay and are matched anew when they are asked for; notes go
 * on under the names of their addresses.
 */
void mx_set_snapshot(struct mx *mx, const struct snapshot *snapshot);

/* Other DNS servers; NULL servers: resolv.conf is read anew.  Open lookups begin anew. */
void mx_set_dns(struct mx *mx, const struct dns_start *start);

const struct mx_figures *mx_figures(const struct mx *mx);

enum mx_why {
    MX_WHY_NOT_YET,
    MX_WHY_DOMAINS,   /* a provider's domains name it */
    MX_WHY_HOSTS,     /* by its MX hosts */
    MX_WHY_NO_MX,     /* it has no MX records and is its own MX host */
    MX_WHY_NULL_MX,   /* RFC 7505 */
    MX_WHY_NO_NAME,   /* it does not exist */
    MX_WHY_TOO_MANY,  /* records */
    MX_WHY_FAILED,    /* the lookup did */
    MX_WHY_NO_DOMAIN, /* an address literal, UTF-8 and the like */
};

/* What is known of a domain, for people. */
struct mx_view {
    const struct provider *provider; /* as mx_provider() says */
    enum mx_why why;
    bool asked;        /* a lookup waits or is under way */
    const char *hosts; /* MX hosts, each with its NUL; not ours */
    size_t host_count;
};

/* As mx_provider(), which it also does; the view holds until the loop runs on. */
void mx_describe(struct mx *mx, const char *domain, int64_t now_ms, struct mx_view *ret_view);

#endif
