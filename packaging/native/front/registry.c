/* Which hosts are registries: what registry.parse says. */

#include "front.h"

#include <string.h>

#define ACCOUNT_LENGTH 12  /* digits, registry._ACCOUNT_LENGTH */
#define REGION_PARTS 3     /* at least, as in us-east-1 */

/* registry._PARTITIONS: region prefix, domain, domain of dual-stack names. */
static const char *const partitions[][3] = {
    {"cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "on.aws"},
    {"us-iso-", "c2s.ic.gov", ""},
    {"us-isob-", "sc2s.sgov.gov", ""},
    {"eu-isoe-", "cloud.adc-e.uk", ""},
    {"us-isof-", "csp.hci.ic.gov", ""},
    {"eu-isof-", "csp.hci.ic.gov", ""},
    {"eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
    {"", "amazonaws.com", "on.aws"},
};
/* registry._FORMS: those of dual-stack names come last. */
static const char *const forms[] = {".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."};
enum { FIRST_DUAL = 2, FORMS = 4 };

static bool
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool
is_region(const char *name, size_t length)
{
    static const char digits[] = "0123456789", letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t parts = 1, last = 0;

    for (size_t i = 0; i < length; i++) {
        if (name[i] == '-') {
            if (i == last) {
                return false;
            }
            parts++;
            last = i + 1;
        }
        else if (strchr(letters, name[i]) == NULL) {
            return false;
        }
    }
    return parts >= REGION_PARTS && last < length && strspn(name + last, digits) == length - last;
}

bool
is_registry(const char *host)
{
    if (strcmp(host, "public.ecr.aws") == 0 || strcmp(host, "ecr-public.aws.com") == 0) {
        return true;
    }
    if (strspn(host, "0123456789") != ACCOUNT_LENGTH) {
        return false;
    }
    for (size_t form = 0; form < FORMS; form++) {
        if (starts_with(host + ACCOUNT_LENGTH, forms[form])) {
            const char *region = host + ACCOUNT_LENGTH + strlen(forms[form]);
            size_t length = strcspn(region, "."), row = 0;

            while (!starts_with(region, partitions[row][0])) {
                row++;
            }
            const char *domain = partitions[row][form < FIRST_DUAL ? 1 : 2];
            return is_region(region, length) && region[length] == '.' && domain[0] != '\0'
                   && strcmp(region + length + 1, domain) == 0;
        }
    }
    return false;
}
