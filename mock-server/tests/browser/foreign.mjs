// Pages of a foreign origin: what of all that they can send gets through, and that nothing of it changes anything.
import assert from 'node:assert/strict'
import { PKCE, WEB, authorizeUrl, id, open, post, startBrowser, startDevice, startMock } from './harness.mjs'
import { freePort } from './loopback.mjs'
import { EVERYWHERE, PORT } from './pages.mjs'

const FOREIGN = `http://evil.example:${PORT}`
const tables = []

/** All that a page could have changed; `base` is where the test reaches the mock. */
async function state(base) {
  const get = async (path) => (await fetch(`${base}/_mock/v1${path}`)).json()
  const all = await Promise.all(['/requests', '/worlds', '/clock', '/device', '/tokens', '/faults'].map(get))
  const [{ requests }, { worlds }, { now_ms }, { pending }, { tokens }, { faults }] = all
  const fired = faults.map(({ matched, fired }) => [matched, fired])
  return { requests: requests.length, worlds: worlds.map(({ name }) => name), now_ms, pending, tokens, fired }
}

/** Runs in the page, with the mock's address and what it needs. Each aims at a world that is not there, or at something that acts. */
const WAYS = {
  '<img> of the API': (at) => void (document.body.append(Object.assign(new Image(), { src: `${at}/t/e1/v1/users/me` }))),
  '<script> of authorize': (at) => void document.body.append(Object.assign(document.createElement('script'), { src: `${at}/t/e2/api/permission/oauth2/authorize` })),
  '<link rel=stylesheet>': (at) => void document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: `${at}/t/e3/nothing` })),
  '<img crossorigin>': (at) => void document.body.append(Object.assign(new Image(), { crossOrigin: '', src: `${at}/t/e4/v1/users/me` })),
  '<iframe> of authorize': (at, { authorize }) => void document.body.append(Object.assign(document.createElement('iframe'), { src: `${at}/t/e5${authorize}` })),
  '<iframe> of the dashboard': (at) => void document.body.append(Object.assign(document.createElement('iframe'), { src: `${at}/t/e6/_mock/` })),
  '<object>': (at) => void document.body.append(Object.assign(document.createElement('object'), { data: `${at}/t/e7/oauth/device-activation` })),
  '<img> of the control plane': (at) => void document.body.append(Object.assign(new Image(), { src: `${at}/_mock/v1/info?world=e8` })),
  'form POST to the token endpoint': (at) => send(`${at}/t/e9/api/permission/oauth2/token`, 'text/plain', { '{"grant_type":"x","a': '":1}' }),
  'form POST that approves a device': (at, { user_code }) => send(`${at}/oauth/device-activation`, '', { user_code, action: 'approve' }),
  'form POST that approves a consent': (at, { key }) => send(`${at}/oauth/consent`, '', { authorize_key: key, action: 'approve' }),
  'form POST to the dashboard': (at) => send(`${at}/_mock/act`, '', { do: 'clock', by: '60' }),
  'form POST to the control plane': (at) => send(`${at}/_mock/v1/reset`, 'text/plain', {}),
  'form GET of the API': (at) => send(`${at}/t/e10/v1/users/me`, '', {}, 'GET'),
  'fetch, GET': (at) => fetch(`${at}/t/e11/v1/users/me`).then(({ status }) => status),
  'fetch, GET of authorize': (at, { authorize }) => fetch(`${at}${authorize}`).then(({ status }) => status),
  'fetch, POST of text/plain': (at) => fetch(`${at}/api/permission/oauth2/token`, { method: 'POST', body: '{}' }).then(({ status }) => status),
  'fetch, POST of JSON': (at) => fetch(`${at}/t/e12/api/permission/oauth2/token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then(({ status }) => status),
  'fetch with Authorization': (at) => fetch(`${at}/v1/users/me`, { headers: { authorization: 'Bearer pat_mock_alice' } }).then(({ status }) => status),
  'fetch, no-cors GET': (at) => fetch(`${at}/t/e13/v1/users/me`, { mode: 'no-cors' }).then(({ type }) => type),
  'fetch, no-cors POST': (at) => fetch(`${at}/api/permission/oauth2/token`, { mode: 'no-cors', method: 'POST', body: '{}' }).then(({ type }) => type),
  'fetch, no-cors POST to reset': (at) => fetch(`${at}/_mock/v1/reset`, { mode: 'no-cors', method: 'POST', body: '{}' }).then(({ type }) => type),
  'fetch of the control plane': (at) => fetch(`${at}/t/e14/_mock/v1/clock`, { method: 'POST', body: '{"advance_ms":1000}' }).then(({ status }) => status),
  'navigator.sendBeacon': (at) => navigator.sendBeacon(`${at}/t/e15/api/permission/oauth2/token`, '{}'),
  EventSource: (at) => void new EventSource(`${at}/t/e16/_mock/v1/events`),
  WebSocket: (at) => void new WebSocket(`${at.replace('http', 'ws')}/t/e17/v1/chat`),
  'tab on the API': (at) => void window.open(`${at}/t/e18/v1/users/me`),
  'tab on a new world': (at, { authorize }) => void window.open(`${at}/t/e19${authorize}`),
  'tab on a new world, no referrer': (at, { authorize }) => void window.open(`${at}/t/e20${authorize}`, '', 'noreferrer'),
  'tab on the dashboard of a new world': (at) => void window.open(`${at}/t/e21/_mock/`),
  'tab on the control plane': (at) => void window.open(`${at}/t/e22/_mock/v1/info`),
  'location = authorize of a new world': (at, { authorize }) => void (location.href = `${at}/t/e23${authorize}`),
  // What has to get through, and changes nothing.
  '<img> of avatar_url': (at) => new Promise((good) => document.body.append(Object.assign(new Image(), { src: `${at}/oauth/avatar.png`, onload: (event) => good(`shown, ${event.target.naturalWidth} wide`), onerror: () => good('not shown') }))),
  '<img> of avatar_url of a new world': (at) => new Promise((good) => document.body.append(Object.assign(new Image(), { src: `${at}/t/e24/oauth/avatar.png`, onload: (event) => good(`shown, ${event.target.naturalWidth} wide`), onerror: () => good('not shown') }))),
  'tab on the device page': (at) => void window.open(`${at}/oauth/device-activation`),
  'tab on the dashboard': (at) => void window.open(`${at}/_mock/?paused=1`),
}
/** What gets through, and as what. */
const THROUGH = ['<img> of avatar_url', '<img> of avatar_url of a new world', 'tab on the device page', 'tab on the dashboard']

const SEND = `function send(action, enctype, fields, method = 'POST') {
  const form = Object.assign(document.createElement('form'), { action, method })
  if (enctype) form.enctype = enctype
  for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { name, value }))
  document.body.append(form)
  form.submit()
}`

/** A page in which one way after the other is tried; one that a way has led elsewhere is replaced. */
async function openPages(browser, from, prepare) {
  const context = await browser.newContext()
  context.setDefaultTimeout(10_000)
  await prepare?.(context)
  let page = await context.newPage()
  await page.goto(from)
  /** What a way comes to: what the mock says of it, or that the browser has sent nothing. */
  async function tell(mock, at, way, given) {
    mock.refused.length = 0
    let answered
    const seen = (response) => {
      if (response.url().startsWith(at) && response.ok()) answered = String(response.status())
    }
    context.on('response', seen)
    const told = page
      .evaluate(`(() => { ${SEND}; return (${way})(${JSON.stringify(at)}, ${JSON.stringify(given)}) })()`)
      .catch((why) => (why.message.includes('Failed to fetch') ? 'Failed to fetch' : ''))
    for (let n = 0; n < 2000 && !answered && !mock.refused.length; n += 1) await new Promise((good) => setTimeout(good, 5))
    const said = await told
    context.off('response', seen)
    const answer = mock.refused.length ? `refused: ${mock.refused[0]}` : (answered ?? 'nothing arrived')
    for (const other of context.pages()) if (other !== page) await other.close()
    if (/send\(|location/.test(way)) {
      const led = page
      page = await context.newPage()
      await Promise.all([page.goto(from), led.close()])
    }
    return [answer, typeof said === 'string' ? said : '']
  }
  return { tell, close: () => context.close() }
}

/** Tries all ways from `from` at the mock that pages know as `at` and the test as `base`. */
async function tryAll(browser, title, from, at, base, mock) {
  const device = await startDevice(base)
  const url = authorizeUrl(base, WEB)
  const asked = await fetch(url, { redirect: 'manual' })
  const key = new URL(asked.headers.get('location')).searchParams.get('authorize_key')
  await post(base, '/_mock/v1/clock', { mode: 'frozen' })
  await post(base, '/_mock/v1/faults', { on: { endpoint: 'token' }, fault: { kind: 'reset' } })
  const given = { authorize: url.slice(base.length), user_code: device.user_code, key }
  const before = await state(base)
  const pages = await openPages(browser, from)
  const rows = []
  for (const [name, way] of Object.entries(WAYS)) {
    const [answer, said] = await pages.tell(mock, at, way, given)
    if (THROUGH.includes(name)) assert.match(said || answer, /^200$|^shown, 96 wide$/, name)
    else assert.match(answer, /^refused: /, name)
    rows.push([name, answer, said])
  }
  assert.deepEqual(await state(base), before, 'a foreign page has changed something')
  // As every login begins: a page asks the person, and until then nothing is given.
  const [shown] = await pages.tell(mock, at, (at, { authorize }) => void window.open(`${at}${authorize}`), given)
  const { requests, ...after } = await state(base)
  assert.deepEqual([shown, requests, after.tokens], ['200', before.requests + 1, before.tokens])
  rows.push(['tab on authorize', shown, 'the consent page; the request is in the journal'])
  await pages.close()
  tables.push([title, rows])
}

export default function (test) {
  let browser
  const everywhere = () => (browser ??= startBrowser(...EVERYWHERE))

  test('foreign.loopback', async () => {
    const mock = await startMock('', '--consent', 'page')
    try {
      await tryAll(await everywhere(), `from ${new URL(FOREIGN).hostname} to 127.0.0.1`, FOREIGN, mock.base, mock.base, mock)
    } finally {
      mock.stop()
    }
  })

  test('foreign.public-url', async () => {
    const port = await freePort()
    const mock = await startMock('', '--listen', `127.0.0.1:${port}`, '--public-url', `http://mock:${port}`)
    const here = `http://127.0.0.1:${port}`
    try {
      assert.equal(mock.base, `http://mock:${port}`)
      await tryAll(await everywhere(), `from ${new URL(FOREIGN).hostname} to http://mock, where the browser says nothing of its site`, FOREIGN, mock.base, here, mock)
      // The pages work there: login, device, dashboard.
      const { page, context } = await open(await everywhere())
      await page.goto(authorizeUrl(mock.base, PKCE, { code_challenge: 'c'.repeat(43) }))
      await id(page, 'approve').click()
      await page.waitForURL(/\/callback\?code=/)
      const device = await startDevice(here)
      await page.goto(`${mock.base}/oauth/device-activation?user_code=${device.user_code}`)
      await id(page, 'approve').click()
      assert.equal(await id(page, 'title').innerText(), 'Device connected')
      await page.goto(`${mock.base}/_mock/?paused=1`)
      await id(page, 'real').click()
      await page.locator('[data-testid="mode"]', { hasText: 'running' }).waitFor()
      await context.close()
    } finally {
      mock.stop()
    }
  })

  // A page whose name leads to the mock after it was loaded: of one origin for the browser, and without any Sec-Fetch-*.
  test('foreign.name', async () => {
    const mock = await startMock()
    const { port } = new URL(mock.base)
    await post(mock.base, '/_mock/v1/clock', { mode: 'frozen' })
    const at = `http://evil.example:${port}`
    try {
      const before = await state(mock.base)
      const rows = []
      const rebound = (context) => context.route(`${at}/page`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>page' }))
      const pages = await openPages(await everywhere(), `${at}/page`, rebound)
      for (const [name, way] of [
        ['fetch, GET', (at) => fetch(`${at}/t/e1/v1/users/me`).then((reply) => `read: ${reply.status}`)],
        ['fetch, POST of JSON', (at) => fetch(`${at}/api/permission/oauth2/device/code`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then((reply) => `read: ${reply.status}`)],
        ['fetch that names another host', (at) => fetch(`${at}/v1/users/me`, { headers: { 'x-forwarded-host': 'localhost', authorization: 'Bearer pat_mock_alice' } }).then((reply) => `read: ${reply.status}`)],
        ['fetch of the control plane', (at) => fetch(`${at}/_mock/v1/reset`, { method: 'POST', body: '{}' }).then((reply) => `read: ${reply.status}`)],
        ['tab', (at) => void window.open(`${at}/t/e2/_mock/`)],
        ['<img> of avatar_url', (at) => void document.body.append(Object.assign(new Image(), { src: `${at}/oauth/avatar.png` }))],
      ]) {
        const [answer, said] = await pages.tell(mock, at, way, {})
        assert.equal(answer, 'refused: host', name)
        rows.push([name, answer, said])
      }
      await pages.close()
      assert.deepEqual(await state(mock.base), before)
      tables.push(['from evil.example, which leads to the mock', rows])
    } finally {
      mock.stop()
    }
  })

  return async () => {
    for (const [title, rows] of tables.sort()) {
      console.log(`\nA page ${title}, and what the mock said; it changed nothing:`)
      for (const [name, answer, said] of rows) console.log(`  ${name.padEnd(38)} ${answer}${said ? ` (${said})` : ''}`)
    }
    await (await browser)?.close()
  }
}
