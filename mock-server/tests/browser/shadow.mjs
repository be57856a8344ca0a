// The page of the shadow: what it has found, by rule, and nothing secret.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { WEB, authorizeUrl, exchange, id, me, open, poll, post, startDevice, startMock, startShadow, violations } from './harness.mjs'

const SECRET = 'mock-web-secret'
/** As the mock's own dashboard has them, whose policy lets forms be sent and frames be shown, too. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
  'content-type': 'text/html; charset=utf-8',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  vary: 'Accept-Language',
}

/** A program before the shadow: a login and a refresh, what is refused, and what the shadow cannot know. Gives every secret of it. */
export async function traffic(base) {
  const secrets = [SECRET, 'state-1', 'nobody-knows-this-token', 'pat_mock_alice']
  const page = await fetch(authorizeUrl(base, WEB), { redirect: 'manual' })
  const code = new URL(page.headers.get('location')).searchParams.get('code')
  const { json } = await exchange(base, WEB, code, {}, SECRET)
  await exchange(base, WEB, code, {}, SECRET)
  const refresh = { grant_type: 'refresh_token', client_id: WEB, refresh_token: json.refresh_token }
  const renewed = await post(base, '/api/permission/oauth2/token', refresh, SECRET)
  const device = await startDevice(base)
  await poll(base, device.device_code)
  await me(base, json.access_token)
  await me(base, 'pat_mock_alice')
  await me(base, 'nobody-knows-this-token')
  await fetch(`${base}/v3/chat`, { method: 'POST' })
  secrets.push(code, json.access_token, json.refresh_token, renewed.json.access_token, renewed.json.refresh_token, device.device_code, device.user_code)
  return secrets
}

/** A mock that lets a code be used twice and asks nobody, and a shadow before it. */
export async function startPair() {
  const apps = `\n[[app]]\nkind = "web"\nclient_id = "${WEB}"\nclient_secret = "${SECRET}"\nredirect_uris = ["http://127.0.0.1:*/*"]\nconsent = "approve"\n[[app]]\nkind = "device"\nclient_id = "33333333333333333333333333333333.app.coze"\n`
  const mock = await startMock(`[rules]\n"code.single_use" = "off"\n${apps}`)
  const shadow = await startShadow(mock.base, '--mock-apps')
  const stop = () => {
    mock.stop()
    shadow.stop()
  }
  return { base: shadow.base, stop }
}

/** The status of a request with these headers, which `fetch` does not let a program choose. */
const status = (base, path, headers, method = 'GET') =>
  new Promise((good, bad) => request(`${base}${path}`, { method, headers }, (reply) => good(reply.resume().statusCode)).on('error', bad).end())

export default function shadow(test) {
  test('shadow.report', async ({ browser }) => {
    const { base, stop } = await startPair()
    const visit = await open(browser)
    const { page } = visit
    try {
      await page.goto(`${base}/_mock`)
      assert.equal(page.url(), `${base}/_mock/`)
      for (const none of ['no-difference', 'all-judged', 'no-agreement']) assert.ok(await id(page, none).isVisible(), none)
      assert.equal(await id(page, 'judged').innerText(), '0')
      const secrets = await traffic(base)
      await id(page, 'reload').click()
      await id(page, 'differs').waitFor()
      assert.equal(await id(page, 'judged').innerText(), '9')
      // The one rule that the upstream does not have, with its evidence, and what was seen.
      const differs = await id(page, 'differs').allInnerTexts()
      assert.equal(differs.length, 1)
      for (const part of ['code.single_use', 'guess', 'protocol §3.4, §13', 'token: authorization_code', 'outcome', 'accepted']) {
        assert.ok(differs[0].includes(part), `${part} in ${differs[0]}`)
      }
      const agrees = await id(page, 'agrees').allInnerTexts()
      assert.ok(agrees.some((row) => /refresh\.rotate[^]*(documented|sdk|report|guess)[^]*1/.test(row)), agrees.join('\n'))
      const unknown = await id(page, 'not-judged').filter({ hasText: 'token.' }).innerText()
      assert.match(unknown, /token\.\w+[^]*(documented|sdk|report|guess)[^]*[a-z ]{20}/)
      // The page says of each rule what the report for programs says.
      const report = await (await fetch(`${base}/_mock/v1/shadow`)).json()
      for (const [column, name] of [['differs', 'differs'], ['agrees', 'agrees'], ['not_judged', 'not-judged']]) {
        const rules = report.rules.filter((row) => row[column]).map((row) => [row.rule, row.evidence])
        const shown = await id(page, name).evaluateAll((rows) => rows.map((row) => [row.querySelector('code').innerText, row.querySelector('[data-testid="evidence"]').innerText]))
        assert.deepEqual(shown, rules, column)
      }
      const html = await page.content()
      for (const secret of secrets) assert.ok(!html.includes(secret), secret)
      await id(page, 'text').click()
      assert.match(await page.locator('body').innerText(), /code\.single_use/)
      await page.goBack()
      await id(page, 'json').click()
      await page.waitForURL(`${base}/_mock/v1/shadow`)
    } finally {
      await visit.context.close()
      stop()
    }
  })

  test('shadow.guard', async ({ browser }) => {
    const { base, stop } = await startPair()
    const visit = await open(browser)
    const { page } = visit
    try {
      const reply = await page.goto(`${base}/_mock/`)
      const headers = reply.headers()
      for (const [name, value] of Object.entries(HEADERS)) assert.equal(headers[name], value, name)
      for (const [more, method, expected] of [
        [{}, 'GET', 200],
        [{ host: 'evil.example' }, 'GET', 403],
        [{ origin: 'http://evil.example' }, 'GET', 403],
        [{ 'sec-fetch-site': 'cross-site' }, 'GET', 403],
        [{}, 'POST', 405],
      ]) {
        assert.equal(await status(base, '/_mock/', more, method), expected, JSON.stringify(more))
      }
      // A page of another site neither opens it nor shows it in a frame.
      const framed = base.replace('127.0.0.1', 'localhost')
      await visit.context.route('**/evil', (route) => route.fulfill({ contentType: 'text/html', body: `<iframe src="${base}/_mock/"></iframe>` }))
      await page.goto(`${framed}/evil`)
      const frame = page.frames().find((one) => one !== page.mainFrame())
      assert.equal(await frame.locator('[data-testid="upstream"]').count(), 0)
    } finally {
      await visit.context.close()
      stop()
    }
  })

  for (const [colorScheme, locale, width] of [['light', 'en-US', 1280], ['dark', 'en-US', 360], ['light', 'zh-CN', 360], ['dark', 'zh-CN', 768]]) {
    test(`shadow.axe.${colorScheme}.${locale}`, async ({ browser }) => {
      const { base, stop } = await startPair()
      const visit = await open(browser, { colorScheme, locale, viewport: { width, height: 740 } })
      const { page } = visit
      try {
        for (const is_new of [true, false]) {
          if (!is_new) await traffic(base)
          await page.goto(`${base}/_mock/`)
          assert.equal(await page.locator('html').getAttribute('lang'), locale.startsWith('zh') ? 'zh-CN' : 'en')
          assert.deepEqual(await violations(page), [])
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
          assert.equal(wide, 0, 'nothing has to be scrolled to')
        }
      } finally {
        await visit.context.close()
        stop()
      }
    })
  }
}
