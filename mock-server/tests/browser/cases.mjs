// The cases; each prints `ok NAME` or `FAIL NAME why`.
import assert from 'node:assert/strict'
import { CALLBACK, PKCE, TWO_USERS, WEB, authorizeUrl, exchange, id, login, me, open, poll, post, s256, startBrowser, startDevice, startMock, violations } from './harness.mjs'
import callbacks from './callbacks.mjs'
import foreign from './foreign.mjs'
import loopback from './loopback.mjs'
import sdk from './sdk.mjs'
import shadow from './shadow.mjs'

const cases = []
const test = (name, run) => cases.push({ name, run })
const SECRET = 'mock-web-secret'
const consent = async (visit, base, client, more) => {
  await visit.page.goto(authorizeUrl(base, client, more))
  assert.match(visit.page.url(), /\/oauth\/consent\?authorize_key=/)
}
const press = async (visit, name) => {
  await id(visit.page, name).click()
  await visit.page.waitForURL(`${CALLBACK}?**`)
  return Object.fromEntries(new URL(visit.page.url()).searchParams)
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'script' : 'no-script'
  const test_ = (name, run) =>
    test(`${name} (${how})`, async ({ browser, base, two }) => {
      const visit = await open(browser, { javaScriptEnabled })
      try {
        await run({ visit, page: visit.page, base, two })
      } finally {
        await visit.context.close()
      }
    })

  test_('web.approve', async ({ visit, base }) => {
    await consent(visit, base, WEB)
    const back = await press(visit, 'approve')
    assert.equal(back.state, 'state-1')
    assert.equal((await exchange(base, WEB, back.code, {}, SECRET)).status, 200)
  })
  test_('web.deny', async ({ visit, base }) => {
    await consent(visit, base, WEB)
    const back = await press(visit, 'deny')
    assert.deepEqual([back.error, back.code, back.state], ['access_denied', undefined, 'state-1'])
  })
  test_('pkce.approve', async ({ visit, base }) => {
    const code_verifier = 'v'.repeat(43)
    await consent(visit, base, PKCE, { code_challenge: s256(code_verifier), code_challenge_method: 'S256' })
    assert.equal(await id(visit.page, 'challenge').innerText(), 'S256')
    const back = await press(visit, 'approve')
    assert.equal((await exchange(base, PKCE, back.code, { code_verifier })).status, 200)
  })
  test_('pkce.deny', async ({ visit, base }) => {
    await consent(visit, base, PKCE, { code_challenge: 'c'.repeat(43) })
    assert.equal((await press(visit, 'deny')).error, 'access_denied')
  })
  test_('consent.wrong-state', async ({ visit, page, base }) => {
    await consent(visit, base, WEB)
    await id(page, 'cope').locator('summary').click()
    const back = await press(visit, 'wrong-state')
    assert.equal(back.state, 'wrong-state')
    assert.ok(back.code)
  })
  test_('consent.error', async ({ visit, page, base }) => {
    await consent(visit, base, WEB)
    await id(page, 'cope').locator('summary').click()
    await id(page, 'which-error').selectOption('temporarily_unavailable')
    const back = await press(visit, 'return-error')
    assert.deepEqual([back.error, back.state, back.code], ['temporarily_unavailable', 'state-1', undefined])
  })
  test_('consent.other-user', async ({ visit, page, two }) => {
    await consent(visit, two, WEB)
    await id(page, 'user').selectOption('bob')
    const back = await press(visit, 'approve')
    const { json } = await exchange(two, WEB, back.code, {}, SECRET)
    assert.equal((await me(two, json.access_token)).json.data.user_name, 'bob')
  })
  test_('device.right-code', async ({ page, base }) => {
    const device = await startDevice(base)
    await page.goto(device.verification_uri)
    await id(page, 'user-code').fill(device.user_code.toLowerCase())
    await id(page, 'continue').click()
    assert.equal(await id(page, 'user-code').innerText(), device.user_code)
    await id(page, 'approve').click()
    assert.equal(await id(page, 'title').innerText(), 'Device connected')
    assert.equal((await poll(base, device.device_code)).status, 200)
  })
  test_('device.wrong-code', async ({ page, base }) => {
    await page.goto(`${base}/oauth/device-activation`)
    await id(page, 'user-code').fill('BBB-BBB-BBB')
    await id(page, 'continue').click()
    assert.match(await id(page, 'problem').innerText(), /No device is waiting/)
    assert.equal(await id(page, 'user-code').inputValue(), 'BBB-BBB-BBB')
    assert.equal(await id(page, 'user-code').getAttribute('aria-invalid'), 'true')
  })
  test_('device.deny', async ({ page, base }) => {
    const device = await startDevice(base)
    await page.goto(`${device.verification_uri}?user_code=${device.user_code}`)
    await id(page, 'deny').click()
    assert.equal(await id(page, 'title').innerText(), 'Device denied')
    assert.equal((await poll(base, device.device_code)).json.error_code, 'access_denied')
  })
  test_('device.other-user', async ({ page, two }) => {
    const device = await startDevice(two)
    await page.goto(`${device.verification_uri}?user_code=${device.user_code}`)
    await id(page, 'user').selectOption('bob')
    await id(page, 'approve').click()
    await id(page, 'title').waitFor()
    const { json } = await poll(two, device.device_code)
    assert.equal((await me(two, json.access_token)).json.data.user_name, 'bob')
  })
  test_('dashboard.live', async ({ page, base }) => {
    const at = `${base}/t/live-${how}`
    await page.goto(`${at}/_mock/`, { waitUntil: 'commit' })
    const frame = page.frameLocator('iframe')
    await frame.getByRole('columnheader', { name: 'Request' }).waitFor()
    const entries = frame.locator('[data-testid="entry"]')
    assert.equal(await entries.count(), 0)
    await me(at, 'pat_mock_alice')
    await entries.first().waitFor()
    await me(at, 'nobody-knows-this-token')
    await entries.nth(1).waitFor()
    assert.match(await entries.nth(1).innerText(), /401/)
    await entries.nth(1).getByRole('link').click()
    await page.waitForURL('**/_mock/request?**')
    assert.equal(await id(page, 'rule').innerText(), 'token.known')
    await id(page, 'back').click()
    await id(page, 'pause').click()
    assert.equal(await id(page, 'entry').count(), 2)
    await me(at, 'pat_mock_alice')
    assert.equal(await id(page, 'entry').count(), 2, 'paused')
    await id(page, 'reload').click()
    await id(page, 'entry').nth(2).waitFor()
    await id(page, 'live').click()
    await frame.locator('[data-testid="entry"]').nth(2).waitFor()
  })
  test_('dashboard.denied-device', async ({ page, base }) => {
    const device = await startDevice(base)
    await page.goto(`${device.verification_uri}?user_code=${device.user_code}`)
    const colour = (name) => page.evaluate((one) => getComputedStyle(document.querySelector(one)).color, name)
    await id(page, 'deny').click()
    assert.equal(await id(page, 'title').innerText(), 'Device denied')
    const denied = await colour('h1')
    const other = await startDevice(base)
    await page.goto(`${other.verification_uri}?user_code=${other.user_code}`)
    await id(page, 'approve').click()
    assert.equal(await id(page, 'title').innerText(), 'Device connected')
    assert.notEqual(denied, await colour('h1'), 'a refusal is not green')
  })
  test_('dashboard.fault-fields', async ({ page, base }) => {
    const at = `${base}/t/fields-${how}`
    await page.goto(`${at}/_mock/?paused=1`)
    const shown = async (kind) => {
      await id(page, 'kind').selectOption(kind)
      const all = await page.locator('[data-testid^="fault-"]:visible').all()
      return Promise.all(all.map(async (one) => (await one.getAttribute('data-testid')).slice(6)))
    }
    assert.deepEqual(await shown('reset'), [])
    assert.deepEqual(await shown('delay'), ['ms'])
    assert.deepEqual(await shown('redirect'), ['status', 'header', 'location'])
    await id(page, 'endpoint').selectOption('users_me')
    await id(page, 'fault-location').fill('https://sso.example/')
    await id(page, 'add-fault').click()
    await id(page, 'fault_off').waitFor()
    const reply = await fetch(`${at}/v1/users/me`, { redirect: 'manual' })
    assert.deepEqual([reply.status, reply.headers.get('location')], [302, 'https://sso.example/'])
  })
  test_('dashboard.clock', async ({ page, base }) => {
    const at = `${base}/t/clock-${how}`
    await page.goto(`${at}/_mock/?paused=1`)
    await id(page, 'freeze').click()
    await page.locator('[data-testid="mode"]', { hasText: 'frozen' }).waitFor()
    const { access_token } = await login(at)
    assert.equal((await me(at, access_token)).status, 200)
    const before = await id(page, 'now').innerText()
    await id(page, 'quarter').click()
    await page.locator('[data-testid="now"]').filter({ hasNotText: before }).waitFor()
    const moved = Date.parse(`${await id(page, 'now').innerText()}Z`) - Date.parse(`${before}Z`)
    assert.equal(moved, 900_000)
    assert.equal((await me(at, access_token)).status, 401, 'the token has expired')
    await page.locator('[data-testid="token"] [data-testid="state"]', { hasText: 'expired' }).first().waitFor()
  })
  test_('dashboard.device', async ({ page, base }) => {
    const at = `${base}/t/device-${how}`
    const device = await startDevice(at)
    await page.goto(`${at}/_mock/?paused=1`)
    await id(page, 'device').filter({ hasText: device.user_code }).getByRole('button', { name: 'Approve' }).click()
    await id(page, 'no-devices').waitFor()
    assert.equal((await poll(at, device.device_code)).status, 200)
  })
  test_('dashboard.fault', async ({ page, base }) => {
    const at = `${base}/t/fault-${how}`
    await page.goto(`${at}/_mock/?paused=1`)
    await id(page, 'kind').selectOption('status')
    await id(page, 'endpoint').selectOption('users_me')
    for (const times of [1, 2]) {
      await id(page, 'add-fault').click()
      await id(page, 'fault_off').nth(times - 1).waitFor()
      await id(page, 'kind').selectOption('status')
      await id(page, 'endpoint').selectOption('users_me')
    }
    await id(page, 'fault_off').nth(1).getByRole('button').click()
    await id(page, 'fault_off').nth(1).waitFor({ state: 'detached' })
    const at_me = () => fetch(`${at}/v1/users/me`, { headers: { authorization: 'Bearer pat_mock_alice' } })
    assert.equal((await at_me()).status, 502)
    assert.equal((await at_me()).status, 200)
  })
  test_('dashboard.tree', async ({ page, base }) => {
    const at = `${base}/t/tree-${how}`
    const { refresh_token } = await login(at)
    await post(at, '/api/permission/oauth2/token', { grant_type: 'refresh_token', client_id: WEB, refresh_token }, SECRET)
    await page.goto(`${at}/_mock/?paused=1`)
    const states = await page.locator('.tree [data-testid="state"]').allInnerTexts()
    assert.deepEqual(states, ['spent', 'live', 'spent', 'live', 'live'])
    assert.equal(await page.locator('.tree > ul > li > ul > li > ul > li').count(), 2)
    assert.ok(!(await page.content()).includes(refresh_token))
  })
}

test('chinese', async ({ browser, base }) => {
  const visit = await open(browser, { locale: 'zh-CN' })
  await consent(visit, base, WEB)
  assert.equal(await visit.page.locator('html').getAttribute('lang'), 'zh-CN')
  assert.equal(await id(visit.page, 'approve').innerText(), '同意')
  await visit.page.goto(`${base}/_mock/?paused=1`)
  assert.match(await visit.page.title(), /控制台/)
  await visit.context.close()
})

test('keyboard', async ({ browser, base }) => {
  const visit = await open(browser)
  await consent(visit, base, WEB)
  const focused = () => visit.page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.className)
  const order = []
  for (let n = 0; n < 4; n += 1) {
    await visit.page.keyboard.press('Tab')
    order.push(await focused())
  }
  assert.deepEqual(order, ['skip', 'approve', 'deny', ''])
  await visit.page.keyboard.press('Shift+Tab')
  await visit.page.keyboard.press('Shift+Tab')
  const outline = await visit.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
  assert.equal(outline, 'solid', 'focus is seen')
  await visit.page.keyboard.press('Enter')
  await visit.page.waitForURL(`${CALLBACK}?**`)
  assert.ok(new URL(visit.page.url()).searchParams.get('code'))
  await visit.context.close()
})

test('admin-token', async ({ browser }) => {
  const mock = await startMock('', '--admin-token', 'let-me-in')
  try {
    const origin = mock.base
    for (const [password, status] of [['let-me-in', 200], ['wrong', 401]]) {
      const visit = await open(browser, { httpCredentials: { username: 'me', password, origin } })
      assert.equal((await visit.page.goto(`${origin}/_mock/?paused=1`)).status(), status)
      if (status === 200) {
        await id(visit.page, 'freeze').click()
        await visit.page.locator('[data-testid="mode"]', { hasText: 'frozen' }).waitFor()
      }
      await visit.context.close()
    }
  } finally {
    mock.stop()
  }
})

test('cross-site', async ({ browser, base }) => {
  const visit = await open(browser)
  for (const other of ['http://evil.example/evil', `${base.replace('127.0.0.1', 'localhost')}/evil`]) {
    await visit.context.route('**/evil', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<form method=post action="${base}/_mock/act"><input name=do value=clock><button name=by value=86400>go</button></form>`,
      }),
    )
    await visit.page.goto(other)
    const [reply] = await Promise.all([visit.page.waitForResponse(`${base}/_mock/act`), visit.page.locator('button').click()])
    assert.equal(reply.status(), 403, other)
  }
  await visit.context.close()
})

for (const [colorScheme, locale] of [
  ['light', 'en-US'],
  ['dark', 'en-US'],
  ['light', 'zh-CN'],
]) {
  test(`axe.${colorScheme}.${locale}`, async ({ browser, base, two }) => {
    const visit = await open(browser, { colorScheme, locale })
    const { page } = visit
    const device = await startDevice(two)
    const waiting = `${two}/oauth/device-activation`
    const { refresh_token } = await login(two)
    await post(two, '/api/permission/oauth2/token', { grant_type: 'refresh_token', client_id: WEB, refresh_token }, SECRET)
    await me(two, 'nobody-knows-this-token')
    await post(two, '/_mock/v1/faults', { on: { endpoint: 'unknown' }, fault: { kind: 'reset' } })
    await post(two, '/_mock/v1/gates/g', { on: { endpoint: 'unknown' }, at: 'request' })
    const json = await (await fetch(`${two}/_mock/v1/requests?limit=1`)).json()
    const logid = json.requests[0].outcome.logid
    const open_details = () => page.evaluate(() => document.querySelectorAll('details').forEach((one) => (one.open = true)))
    for (const [at, until] of [
      [authorizeUrl(two, WEB)],
      [authorizeUrl(base, WEB)],
      [authorizeUrl(base, WEB, { redirect_uri: 'http://evil.example/' })],
      [waiting],
      [`${waiting}?user_code=BBB`],
      [`${waiting}?user_code=${device.user_code}`],
      [`${two}/oauth/consent?authorize_key=none`],
      [`${two}/_mock/?paused=1`],
      [`${two}/_mock/`],
      [`${two}/_mock/journal`, 'commit'],
      [`${two}/_mock/request?logid=${logid}`],
      [`${two}/_mock/request?logid=none`],
    ]) {
      await page.goto(at, { waitUntil: until ?? 'domcontentloaded' })
      await page.locator('main').first().waitFor()
      if (until) await id(page, 'entry').first().waitFor()
      await open_details()
      assert.deepEqual(await violations(page), [], at)
    }
    await visit.context.close()
  })
}

/** What is cut, or leaves its card: everything that is seen has to be within what it stands in, without scrolling to the side. */
const outside = () => {
  const found = []
  for (const one of document.querySelectorAll('main *, header *')) {
    const { left, right, width, height } = one.getBoundingClientRect()
    const hidden = one.closest('.hidden, thead, .skip') || !width || !height
    const card = (one.closest('section') ?? document.documentElement).getBoundingClientRect()
    if (!hidden && (left < card.left - 1 || right > card.right + 1)) found.push(one.outerHTML.slice(0, 80))
  }
  const wide = document.documentElement.scrollWidth
  if (wide > document.documentElement.clientWidth) found.push(`the page is ${wide} wide`)
  return found
}
for (const [width, locale] of [[360, 'en-US'], [360, 'zh-CN'], [768, 'en-US'], [768, 'zh-CN'], [1280, 'en-US'], [1280, 'zh-CN']]) {
  test(`wide.${width}.${locale}`, async ({ browser, two }) => {
    const visit = await open(browser, { locale, viewport: { width, height: 740 } })
    const at = `${two}/t/wide-${width}-${locale}`
    await login(at)
    await me(at, 'nobody-knows-this-token')
    const device = await startDevice(at)
    await post(at, '/_mock/v1/faults', { on: { endpoint: 'unknown' }, fault: { kind: 'close_before_body' } })
    await post(at, '/_mock/v1/gates/a-gate-of-a-test', { on: { endpoint: 'unknown' }, at: 'request' })
    const { page } = visit
    const { requests } = await (await fetch(`${at}/_mock/v1/requests?rule=token.known`)).json()
    const request = `${at}/_mock/request?logid=${requests[0].outcome.logid}`
    for (const path of [request, authorizeUrl(at, WEB), `${device.verification_uri}?user_code=${device.user_code}`, `${at}/`, `${at}/_mock/?paused=1`, `${at}/_mock/`]) {
      await page.goto(path.startsWith('http') ? path : at + path, { waitUntil: 'load' })
      assert.deepEqual(await page.evaluate(outside), [], path)
      if (path !== request) continue
      const [time, line] = await Promise.all(['time', 'p:has(time)'].map((one) => page.locator(one).evaluate((of) => [of.getClientRects().length, of.innerText])))
      assert.equal(time[0], 1, 'a time stands on one line')
      assert.equal(line[1], `401 token.known · ${time[1]}`)
    }
    // The live journal is a page in a frame.
    const frame = page.frames().find((one) => one !== page.mainFrame())
    await page.frameLocator('iframe').locator('[data-testid="entry"]').nth(3).waitFor()
    assert.deepEqual(await frame.evaluate(outside), [], 'the live journal')
    for (const name of ['approve', 'deny', 'expire', 'release', 'remove', 'add-fault']) {
      assert.ok(await id(page, name).first().isVisible(), name)
    }
    await visit.context.close()
  })
}

test('dashboard.load', async ({ browser, base }) => {
  // A processor that is twenty times slower brings the frame into view before the rest is there.
  const visit = await open(browser)
  const at = `${base}/t/load`
  for (let n = 0; n < 8; n += 1) await login(at)
  const session = await visit.context.newCDPSession(visit.page)
  for (const rate of [1, 4, 20]) {
    await session.send('Emulation.setCPUThrottlingRate', { rate })
    for (let n = 0; n < 3; n += 1) await visit.page.goto(`${at}/_mock/`, { waitUntil: 'load', timeout: 10_000 })
  }
  await session.send('Emulation.setCPUThrottlingRate', { rate: 1 })
  await visit.page.frameLocator('iframe').locator('[data-testid="entry"]').nth(5).waitFor()
  await visit.context.close()
})

test('front', async ({ browser, base }) => {
  const visit = await open(browser)
  await visit.page.goto(`${base}/t/front`)
  await id(visit.page, 'dashboard').click()
  await visit.page.waitForURL(`${base}/t/front/_mock/`)
  await visit.context.close()
})

callbacks(test)
loopback(test)
shadow(test)
/** What they print in the end. */
const print = [sdk(test), foreign(test)]

const [browser, one, other] = await Promise.all([startBrowser(), startMock(), startMock(TWO_USERS)])
const only = process.env.ONLY
let failed = 0
const started = Date.now()
const chosen = cases.filter(({ name }) => name.includes(only))
const left = [...chosen]
/** Each takes the next case until none is left: contexts and worlds keep them apart. */
async function work() {
  for (let next = left.shift(); next; next = left.shift()) {
    const since = Date.now()
    try {
      await next.run({ browser, base: one.base, two: other.base })
      console.log(`ok ${next.name} ${Date.now() - since} ms`)
    } catch (why) {
      failed += 1
      console.log(`FAIL ${next.name} ${why.message}`)
    }
  }
}
await Promise.all([work(), work(), work()])
for (const table of print) await table()
await browser.close()
one.stop()
other.stop()
console.log(`${chosen.length - failed} passed, ${failed} failed in ${((Date.now() - started) / 1000).toFixed(1)} s`)
process.exit(failed || !chosen.length ? 1 : 0)
