/*
 * Reading what smtpd asks its access policy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/policy_request.h"

#include <errno.h>

static void
test_parse(void **state)
{
    static const char full[] = "request=smtpd_access_policy\nprotocol_state=RCPT\n"
                               "sender=a=b@x.test\nsender=second@x.test\nnobody=knows\n"
                               "recipient=\nrecipient=r@x.test\nsasl_username=joe\n\nrequest=";
    static const struct {
        const char *text;
        size_t length; /* 0: of the text */
        int result;
        const char *why;
    } bad[] = {
        {"", 0, 0, ""},
        {"request=smtpd_access_policy\n", 0, 0, ""},
        {"\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"sender=x\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"request=junk\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"request=smtpd_access_policy\njunk\n\n", 0, -EINVAL, "line without \"name=\""},
        {"request=smtpd_access_policy\n=junk\n\n", 0, -EINVAL, "line without \"name=\""},
        {"request=smtpd_access_policy\r\n\r\n", 0, 0, ""},
        {"request=smtpd_access_policy\na=b\0c\n\n", 33 + 2, -EINVAL, "request has a NUL"},
    };
    struct policy_request request;
    struct err err;
    char *big;

    (void)state;
    for (size_t length = 0; length < sizeof(full) - 9; length++)
        assert_int_equal(policy_request_parse(full, length, &request, &err), 0);
    assert_int_equal(policy_request_parse(full, sizeof(full) - 1, &request, &err),
                     sizeof(full) - 9);
    assert_string_equal(request.sender, "a=b@x.test");
    assert_string_equal(request.recipient, "r@x.test");
    assert_string_equal(request.sasl_username, "joe");
    assert_string_equal(request.instance, "");
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t length = bad[i].length > 0 ? bad[i].length : strlen(bad[i].text);

        err.msg[0] = '\0';
        assert_int_equal(policy_request_parse(bad[i].text, length, &request, &err), bad[i].result);
        assert_string_equal(err.msg, bad[i].why);
    }
    big = mem_array(POLICY_REQUEST_MAX + 10, 1);
    memset(big, 'a', POLICY_REQUEST_MAX + 9);
    assert_int_equal(policy_request_parse(big, POLICY_REQUEST_MAX - 1, &request, &err), 0);
    assert_int_equal(policy_request_parse(big, POLICY_REQUEST_MAX, &request, &err), -EMSGSIZE);
    assert_string_equal(err.msg, "request is longer than 32768 bytes");
    memcpy(big, full, 28);
    memcpy(big + 28, "sender=", 7);
    memcpy(big + 5000, "\n\n", 2);
    assert_int_equal(policy_request_parse(big, 5002, &request, &err), 5002);
    assert_int_equal(strlen(request.sender), ADDR_MAX); /* cut */
    free(big);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
