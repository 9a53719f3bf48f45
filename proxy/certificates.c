/* Hides: which of many certificates are worth telling. */
#include "proxy/certificates.h"

#include <math.h>

#include "common/clock.h"
#include "proxy/follower.h"

struct pick {
	struct certificate_row first[CERTIFICATES_TOLD]; /* by expiry; names borrowed */
	size_t count;
	int64_t standard; /* ms; 0: there is no default certificate */
};

/* Into its place; of more than fit the last one falls out. */
static void take(const char *name, int64_t not_after_s, void *arg)
{
	int64_t end = 1000 * not_after_s;
	struct pick *p = arg;
	size_t i;

	if (!*name) {
		p->standard = end;
		return;
	}
	if (p->count == CERTIFICATES_TOLD && p->first[p->count - 1].not_after <= end)
		return;
	p->count = MIN(p->count + 1, (size_t)CERTIFICATES_TOLD);
	for (i = p->count - 1; i > 0 && p->first[i - 1].not_after > end; i--)
		p->first[i] = p->first[i - 1];
	p->first[i] = (struct certificate_row){ name, end };
}

static struct pick pick(const struct proxy *p)
{
	struct pick out = { 0 };

	if (p->tls)
		tls_server_expiry(p->tls, take, &out);
	return out;
}

static void tell(struct proxy *p)
{
	struct certificate_row rows[CERTIFICATES_TOLD + 1] = { 0 };
	struct pick now = pick(p);
	struct buf text = { 0 };
	struct slice before = buf_slice(&p->told), fresh;
	size_t n = 0;

	if (now.standard)
		rows[n++] = (struct certificate_row){ "", now.standard };
	memcpy(rows + n, now.first, now.count * sizeof rows[0]);
	n += now.count;
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s %lld\n", rows[i].name, (long long)rows[i].not_after);
	fresh = buf_slice(&text);
	if (fresh.n != before.n || (fresh.n && memcmp(fresh.p, before.p, fresh.n) != 0))
		follower_certificates(p->follower, rows, n);
	buf_release(&p->told);
	p->told = text;
}

void certificates_tick(struct proxy *p)
{
	int64_t now = clock_mono_ms();

	if (!p->tls)
		return;
	tls_server_tick(p->tls);
	if (p->told_ms && now - p->told_ms < CERTIFICATES_TELL_MS)
		return;
	p->told_ms = now;
	tell(p);
}

static double seconds_left(int64_t end)
{
	return end ? (double)(end - clock_real_ms()) / 1000 : HUGE_VAL;
}

void certificates_collect(struct proxy *p)
{
	struct pick now = pick(p);
	double standard = seconds_left(now.standard);
	double soonest = seconds_left(now.count ? now.first[0].not_after : 0);

	metrics_set(p->metrics, METER_CERTIFICATE_EXPIRY, AT(CERTIFICATE_DEFAULT), standard);
	metrics_set(p->metrics, METER_CERTIFICATE_EXPIRY, AT(CERTIFICATE_SOONEST),
		    MIN(soonest, standard));
}

void certificates_release(struct proxy *p)
{
	buf_release(&p->told);
}
