// @coze/api judges the mock: `node coze_api_cases.mjs < info.json`, info being the mock's first line.
import { text } from 'node:stream/consumers';
import { Mock, runCases } from './mock_case.mjs';
import { version } from '../../../conformance/released-sdks/coze_api_sdk.mjs';
import { CASES as flows } from './coze_api_flows.mjs';
import { CASES as refusals } from './coze_api_refusals.mjs';

const mock = new Mock(JSON.parse(await text(process.stdin)));
process.exitCode = (await runCases([...flows, ...refusals], mock, `@coze/api ${version}`)) ? 1 : 0;
