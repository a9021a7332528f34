/*
 * What the control socket is asked about suspensions.
 *
 *   suspensions [json]
 *   suspend WHAT MILLISECONDS WHY...   "-" for ever; WHY is all that follows
 *   drain WHAT WHY...
 *   resume WHAT
 *
 * WHAT: "address/a1", "provider/a1/google", "domain/a1/example.org" (recipients
 * there, of no provider), "account/example.com".
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "lib/conf.h"
#include "lib/json.h"
#include "lib/known.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUSPEND_MOST_DAYS = 3660 };

/* One question, taken apart. */
struct asked {
    char key[BREAKERS_KEY_SIZE]; /* "breaker/..." */
    struct breakers_whose whose;
    int64_t ms; /* BREAKER_FOR_EVER */
    const char *why;
};

/* The next word of *text; *text moves behind it.  Blanks are made NUL. */
static char *
word(char **text)
{
    char *start = *text + strspn(*text, " ");
    size_t length = strcspn(start, " ");

    *text = start + length;
    if (**text == ' ')
        *(*text)++ = '\0';
    return start;
}

/* The address is not there, or it is and the provider is not. */
static void
say_unbound(const struct snapshot *snapshot, const struct asked *asked, struct buf *answer)
{
    bool is_provider = asked->whose.address != NULL;
    struct breakers_names names;

    breakers_names(asked->key, &names);
    buf_printf(answer, "error: the running configuration has no %s of that name%s",
               is_provider ? "provider" : "address",
               is_provider ? known_providers(snapshot, names.other)
                           : known_addresses(snapshot, names.address));
}

/* What is held back may be of what the configuration does not have any more. */
static bool
parse_what(struct breakers *breakers, const char *what, bool held, struct asked *asked,
           struct buf *answer)
{
    int length = snprintf(asked->key, sizeof(asked->key), "breaker/%s", what);

    if (length >= (int)sizeof(asked->key) ||
        !breakers_bind(breakers->conf, asked->key, &asked->whose) ||
        (asked->whose.name != NULL && asked->whose.name[0] == '\0')) {
        buf_printf(answer,
                   "error: \"%.100s\" is nothing that can be suspended; there are address/NAME, "
                   "provider/ADDRESS/PROVIDER, domain/ADDRESS/DOMAIN and account/DOMAIN",
                   what);
        return false;
    }
    if (!breakers_is_bound(&asked->whose) &&
        (!held || breakers_entry_find(breakers, asked->key) == NULL)) {
        say_unbound(breakers->conf->snapshot, asked, answer);
        return false;
    }
    return true;
}

static bool
parse_time(const char *text, struct asked *asked, struct buf *answer)
{
    const int64_t most = (int64_t)SUSPEND_MOST_DAYS * 24 * 3600 * 1000;
    char *end;
    long long ms = strtoll(text, &end, 10);

    if (strcmp(text, "-") == 0) {
        asked->ms = BREAKER_FOR_EVER;
        return true;
    }
    if (*text == '\0' || *end != '\0' || ms <= 0 || ms > most) {
        buf_puts(answer, "error: a time from 1 ms to 3660d is needed, or - for ever");
        return false;
    }
    asked->ms = ms;
    return true;
}

static bool
has_why(const struct asked *asked, struct buf *answer)
{
    if (asked->why[0] == '\0')
        buf_puts(answer, "error: why?  Others will want to know");
    return asked->why[0] != '\0';
}

static void
done(bool did, const char *what, const struct asked *asked, struct control_call *call,
     struct buf *answer)
{
    char title[BREAKERS_TITLE_SIZE];

    breakers_title(asked->key, title);
    if (!did) {
        buf_puts(answer, "error: too much is suspended already");
        return;
    }
    log_info("%s: %s by %s: %s", title, what, control_user(call), asked->why);
    buf_printf(answer, "%s: %s\n", title, what);
}

static void
suspend(struct breakers *breakers, char *rest, struct control_call *call, struct buf *answer)
{
    struct asked asked = {.ms = 0};
    const char *what = word(&rest), *time = word(&rest);
    int64_t until = BREAKER_FOR_EVER;

    asked.why = rest;
    if (!parse_what(breakers, what, false, &asked, answer) || !parse_time(time, &asked, answer) ||
        !has_why(&asked, answer))
        return;
    if (asked.ms != BREAKER_FOR_EVER)
        until = breakers_now_ms(breakers) + asked.ms;
    done(breakers_suspend(breakers, &asked.whose, until, asked.why), "suspended", &asked, call,
         answer);
}

static void
drain(struct breakers *breakers, char *rest, struct control_call *call, struct buf *answer)
{
    struct asked asked = {.ms = 0};
    const char *what = word(&rest);

    asked.why = rest;
    if (!parse_what(breakers, what, false, &asked, answer) || !has_why(&asked, answer))
        return;
    done(breakers_drain(breakers, &asked.whose, asked.why), "takes no new messages", &asked, call,
         answer);
}

static void
resume(struct breakers *breakers, char *rest, struct control_call *call, struct buf *answer)
{
    struct asked asked = {.why = "by hand"};
    const char *what = word(&rest);
    char title[BREAKERS_TITLE_SIZE];

    if (!parse_what(breakers, what, true, &asked, answer))
        return;
    if (!breakers_resume_key(breakers, asked.key))
        buf_printf(answer, "error: %s is not held back", breakers_title(asked.key, title));
    else
        done(true, "resumed", &asked, call, answer);
}

static void
list(struct breakers *breakers, bool as_json, struct buf *answer)
{
    struct json json = {.out = answer};

    if (as_json) {
        json_open(&json, NULL, '{');
        breakers_status(breakers, NULL, &json);
        json_close(&json, '}');
        buf_puts(answer, "\n");
    } else if (breakers_status(breakers, answer, NULL) == 0) {
        buf_puts(answer, "nothing is suspended, slowed or drained\n");
    }
}

bool
breakers_question(struct breakers *breakers, const char *question, struct control_call *call,
                  struct buf *answer)
{
    static const struct {
        const char *name;
        void (*act)(struct breakers *, char *, struct control_call *, struct buf *);
    } acts[] = {{"suspend ", suspend}, {"drain ", drain}, {"resume ", resume}};

    if (strcmp(question, "suspensions") == 0 || strcmp(question, "suspensions json") == 0) {
        list(breakers, strchr(question, ' ') != NULL, answer);
        return true;
    }
    for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
        if (strncmp(question, acts[i].name, strlen(acts[i].name)) == 0) {
            char *rest = mem_strdup(question + strlen(acts[i].name));

            acts[i].act(breakers, rest, call, answer);
            free(rest);
            return true;
        }
    return false;
}
