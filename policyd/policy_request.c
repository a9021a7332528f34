/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policy_request.h"

#include "lib/err.h"

#include <errno.h>
#include <string.h>

static const struct attribute {
    const char *name;
    size_t offset;
    size_t size;
} attributes[] = {
#define ATTRIBUTE(name)                                   \
    {                                                     \
#name, offsetof(struct policy_request, name),     \
            sizeof(((struct policy_request *)NULL)->name) \
    }
    ATTRIBUTE(request),       ATTRIBUTE(protocol_state),  ATTRIBUTE(instance),
    ATTRIBUTE(sender),        ATTRIBUTE(recipient),       ATTRIBUTE(client_address),
    ATTRIBUTE(sasl_username), ATTRIBUTE(recipient_count),
#undef ATTRIBUTE
};

static void
read_attribute(struct policy_request *request, const char *name, size_t name_length,
               const char *value, size_t length)
{
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
        const struct attribute *attribute = &attributes[i];
        char *place = (char *)request + attribute->offset;

        if (name_length != strlen(attribute->name) ||
            memcmp(name, attribute->name, name_length) != 0)
            continue;
        if (place[0] != '\0')
            return;
        if (length >= attribute->size)
            length = attribute->size - 1;
        memcpy(place, value, length);
        place[length] = '\0';
        return;
    }
}

/* Where the empty line begins that ends the request; NULL: not there yet. */
static const char *
find_end(const char *data, size_t length)
{
    const char *end;

    if (length > 0 && data[0] == '\n')
        return data;
    end = memmem(data, length, "\n\n", 2);
    return end != NULL ? end + 1 : NULL;
}

int
policy_request_parse(const char *data, size_t length, struct policy_request *ret_request,
                     struct err *err)
{
    size_t most = length < POLICY_REQUEST_MAX ? length : POLICY_REQUEST_MAX;
    const char *end = find_end(data, most), *line = data;

    if (end == NULL && length >= POLICY_REQUEST_MAX)
        return err_set(err, -EMSGSIZE, "request is longer than %d bytes", POLICY_REQUEST_MAX);
    if (end == NULL)
        return 0;
    if (memchr(data, '\0', (size_t)(end - data)) != NULL)
        return err_set(err, -EINVAL, "request has a NUL");
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
        ((char *)ret_request)[attributes[i].offset] = '\0';
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *equals = memchr(line, '=', (size_t)(newline - line));

        if (equals == NULL || equals == line)
            return err_set(err, -EINVAL, "line without \"name=\"");
        read_attribute(ret_request, line, (size_t)(equals - line), equals + 1,
                       (size_t)(newline - equals - 1));
        line = newline + 1;
    }
    if (strcmp(ret_request->request, "smtpd_access_policy") != 0)
        return err_set(err, -EINVAL, "request is not \"request=smtpd_access_policy\"");
    return (int)(end + 1 - data);
}
