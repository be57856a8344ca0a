// Pages of other origins: a server whose pages are of whatever site they are asked for, and a browser for which all names lead to it.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

const modules = join(process.env.RELEASED_SDKS_NPM, 'node_modules')
/** The build that `unpkg` of the package names, and what it takes from the page. */
const SCRIPTS = {
  '/axios.js': readFileSync(join(modules, 'axios/dist/axios.min.js')),
  '/coze.js': readFileSync(join(modules, '@coze/api/dist/umd/index.js')),
}
const APP = '<!doctype html><title>app</title><link rel=icon href=data:,><script>window.global = window</script><script src=/axios.js></script><script src=/coze.js></script>'
const EMPTY = '<!doctype html><title>page</title><link rel=icon href=data:,>'

const server = createServer((request, reply) => {
  const path = request.url.split('?')[0]
  const script = SCRIPTS[path]
  reply.setHeader('content-type', script ? 'text/javascript' : 'text/html')
  reply.end(script ?? (path.startsWith('/app') ? APP : EMPTY))
})
await new Promise((good) => server.listen(0, '127.0.0.1', good))
server.unref()
export const PORT = server.address().port

/** Names that lead to this machine, as a foreign site's may; and nothing by which Chromium itself keeps pages from it, as other browsers do not. */
export const EVERYWHERE = ['--host-resolver-rules=MAP evil.example 127.0.0.1, MAP mock 127.0.0.1', '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests', '--process-per-site']
