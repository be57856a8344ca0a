// Pictures of the pages: light and dark, English and Chinese, desktop and phone.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startPair, traffic } from './shadow.mjs'
import { TWO_USERS, WEB, authorizeUrl, login, me, open, post, startBrowser, startDevice, startMock } from './harness.mjs'

const folder = process.env.SCREENSHOTS
mkdirSync(folder, { recursive: true })
const CLOCK = '\n[clock]\nmode = "frozen"\nstart = "2026-01-01T09:00:00Z"\n'
const [browser, one, two] = await Promise.all([
  startBrowser(),
  startMock(`seed = 1${CLOCK}`),
  startMock(`seed = 1${CLOCK}${TWO_USERS}`),
])
const { base } = one
const { refresh_token, access_token } = await login(base)
await me(base, access_token)
await post(base, '/api/permission/oauth2/token', { grant_type: 'refresh_token', client_id: WEB, refresh_token }, 'mock-web-secret')
await post(base, '/api/permission/oauth2/token', { grant_type: 'refresh_token', client_id: WEB, refresh_token }, 'mock-web-secret')
await post(base, '/_mock/v1/faults', { on: { endpoint: 'users_me' }, fault: { kind: 'delay' }, times: 1 })
await fetch(`${base}/t/alpha/v1/users/me`)
const device = await startDevice(base)
const { requests } = await (await fetch(`${base}/_mock/v1/requests`)).json()
const refused = requests.find((entry) => entry.outcome.status === 400).outcome.logid
const pair = await startPair()
await traffic(pair.base)
const activation = `${base}/oauth/device-activation`

const pages = {
  consent: authorizeUrl(base, WEB),
  'consent-users': authorizeUrl(two.base, WEB),
  'device-entry': `${activation}?user_code=BBB-BBB-BBB`,
  'device-confirm': `${activation}?user_code=${device.user_code}`,
  dashboard: `${base}/_mock/`,
  request: `${base}/_mock/request?logid=${refused}`,
  shadow: `${pair.base}/_mock/`,
}
const looks = {
  'light-en': { colorScheme: 'light', locale: 'en-US', viewport: { width: 1100, height: 900 } },
  'dark-zh': { colorScheme: 'dark', locale: 'zh-CN', viewport: { width: 1100, height: 900 } },
  'phone-light-zh': { colorScheme: 'light', locale: 'zh-CN', viewport: { width: 360, height: 740 } },
  'phone-dark-en': { colorScheme: 'dark', locale: 'en-US', viewport: { width: 360, height: 740 } },
}
for (const [look, options] of Object.entries(looks)) {
  const visit = await open(browser, options)
  for (const [name, at] of Object.entries(pages)) {
    await visit.page.goto(at, { waitUntil: 'domcontentloaded' })
    if (name === 'dashboard') await visit.page.frameLocator('iframe').locator('[data-testid="entry"]').nth(4).waitFor()
    if (name === 'consent-users') await visit.page.locator('summary').click()
    await visit.page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: name !== 'dashboard' })
  }
  await visit.context.close()
}
await browser.close()
one.stop()
two.stop()
pair.stop()
