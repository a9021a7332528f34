/*
 * Groups of conditions: which messages a stream takes, or who may give a hint.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A group as it is written. */
struct match_input {
    char *header;
    char *value;
    char *regex;
    char *sasl_user;
    char *sender;
    char *client;
    char *daemon;
    char *recipient;
};

const struct conf_key conf_match_keys[] = {
    {"header", KEY_HEADER, offsetof(struct match_input, header), "", 0, 0,
     "A header field of this name is there.", NULL, NULL},
    {"value", KEY_TEXT, offsetof(struct match_input, value), "", 0, 0,
     "Its value fits this pattern (* and ?); letter case means nothing.", NULL, NULL},
    {"regex", KEY_TEXT, offsetof(struct match_input, regex), "", 0, 0,
     "Its value holds this POSIX extended regular expression; letter case means nothing.", NULL,
     NULL},
    {"sasl_user", KEY_TEXT, offsetof(struct match_input, sasl_user), "", 0, 0,
     "The client logged in with a name that fits this pattern; letter case counts.", NULL, NULL},
    {"sender", KEY_TEXT, offsetof(struct match_input, sender), "", 0, 0,
     "The envelope sender fits this pattern; \"<>\" is the null sender.", NULL, NULL},
    {"client", KEY_TEXT, offsetof(struct match_input, client), "", 0, 0,
     "The client's address is this one or in this network.", NULL, NULL},
    {"daemon", KEY_TEXT, offsetof(struct match_input, daemon), "", 0, 0,
     "Postfix' {daemon_name} (milter_macro_daemon_name) fits this pattern; letter case counts.",
     NULL, NULL},
    {"recipient", KEY_TEXT, offsetof(struct match_input, recipient), "", 0, 0,
     "One of the envelope recipients fits this pattern.", NULL, NULL},
    CONF_KEY_END,
};

static bool
is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static struct condition *
add_condition(struct match *match, enum condition_type type)
{
    struct condition *condition = &match->conditions[match->condition_count++];

    condition->type = type;
    return condition;
}

static void
add_glob(struct match *match, enum condition_type type, const char *glob)
{
    if (is_set(glob))
        add_condition(match, type)->glob = mem_strdup(glob);
}

static void
add_regex(struct conf_reader *reader, config_setting_t *item, struct condition *condition,
          const char *source)
{
    regex_t *regex = mem_new(sizeof(*regex));
    int r = regcomp(regex, source, REG_EXTENDED | REG_ICASE | REG_NOSUB);
    char why[200];

    if (r != 0) {
        regerror(r, regex, why, sizeof(why));
        conf_problem(reader, config_setting_get_member(item, "regex"),
                     "\"%s\" is no POSIX extended regular expression: %s", source, why);
        free(regex);
        return;
    }
    condition->regex = regex;
    condition->regex_source = mem_strdup(source);
}

static void
add_header(struct conf_reader *reader, config_setting_t *item, const struct match_input *input,
           struct match *match)
{
    struct condition *condition;

    if (!is_set(input->header)) {
        if (is_set(input->value) || is_set(input->regex))
            conf_problem(reader, item, "value and regex need the header that they are about");
        return;
    }
    if (is_set(input->value) && is_set(input->regex))
        conf_problem(reader, item, "value and regex exclude each other, write one of them");
    condition = add_condition(match, CONDITION_HEADER);
    condition->name = mem_strdup(input->header);
    if (is_set(input->value))
        condition->glob = mem_strdup(input->value);
    if (is_set(input->regex))
        add_regex(reader, item, condition, input->regex);
}

static void
add_client(struct conf_reader *reader, config_setting_t *item, const char *text,
           struct match *match)
{
    struct ip_net net;

    if (!is_set(text))
        return;
    if (ip_net_parse(text, &net))
        add_condition(match, CONDITION_CLIENT)->net = net;
    else
        conf_problem(reader, config_setting_get_member(item, "client"),
                     "\"%s\" is no address or network, write one such as \"192.0.2.7\" or "
                     "\"192.0.2.0/24\" (no bits behind the prefix)",
                     text);
}

static void
match_input_clear(struct match_input *input)
{
    free(input->header);
    free(input->value);
    free(input->regex);
    free(input->sasl_user);
    free(input->sender);
    free(input->client);
    free(input->daemon);
    free(input->recipient);
}

static void
read_match(struct conf_reader *reader, config_setting_t *item, struct match *match)
{
    struct match_input input = {0};

    match->conditions = mem_array(sizeof(input) / sizeof(char *), sizeof(*match->conditions));
    if (!config_setting_is_group(item)) {
        conf_problem(reader, item, "a group of conditions is needed, { header = ...; }");
        return;
    }
    if (config_setting_length(item) == 0)
        conf_problem(reader, item,
                     "an empty group would take every message; write match = () for the catch-all");
    conf_read_defaults(conf_match_keys, &input);
    conf_read_group(reader, item, conf_match_keys, &input);
    for (int i = 0; i < config_setting_length(item); i++) {
        config_setting_t *member = config_setting_get_elem(item, (unsigned)i);
        const char *text = config_setting_get_string(member);

        if (text != NULL && text[0] == '\0')
            conf_problem(reader, member, "is empty, write a pattern or leave the key out");
    }
    add_header(reader, item, &input, match);
    add_client(reader, item, input.client, match);
    add_glob(match, CONDITION_SASL_USER, input.sasl_user);
    add_glob(match, CONDITION_SENDER, input.sender);
    add_glob(match, CONDITION_DAEMON, input.daemon);
    add_glob(match, CONDITION_RECIPIENT, input.recipient);
    match_input_clear(&input);
}

void
conf_read_matches(struct conf_reader *reader, config_setting_t *setting, struct match **ret_matches,
                  size_t *ret_count)
{
    size_t count = (size_t)config_setting_length(setting);

    if (!conf_read_is_list(reader, setting, "groups of conditions"))
        return;
    *ret_matches = mem_array(count, sizeof(**ret_matches));
    *ret_count = count;
    for (size_t i = 0; i < count; i++)
        read_match(reader, config_setting_get_elem(setting, (unsigned)i), &(*ret_matches)[i]);
}

void
conf_note_header(struct snapshot *snapshot, const char *name)
{
    size_t at = 0;

    while (at < snapshot->header_count && strcasecmp(snapshot->headers[at], name) != 0)
        at++;
    if (at < snapshot->header_count)
        return;
    snapshot->headers = mem_resize(snapshot->headers, at + 1, sizeof(char *));
    snapshot->headers[snapshot->header_count++] = mem_strdup(name);
}

void
conf_note_headers(struct snapshot *snapshot, const struct match *matches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < matches[i].condition_count; j++)
            if (matches[i].conditions[j].name != NULL)
                conf_note_header(snapshot, matches[i].conditions[j].name);
}
