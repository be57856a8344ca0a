//! The texts of the pages, in both languages: a text without its translation does not compile.

macro_rules! texts {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        #[cfg_attr(not(feature = "shadow"), expect(dead_code, reason = "those of the shadow's page"))]
        pub(crate) struct Texts {
            $(pub(crate) $name: &'static str,)*
        }
        pub(crate) static EN: Texts = Texts { $($name: $en,)* };
        pub(crate) static ZH: Texts = Texts { $($name: $zh,)* };
    };
}

texts! {
    lang: "en", "zh-CN";
    mock: "mock Coze", "模拟扣子";
    mock_note: "This is a mock of Coze for development. Nothing here reaches the real service.",
        "这是用于开发的扣子模拟服务，与真实服务没有任何连接。";
    skip: "Skip to the content", "跳到正文";

    // the root
    front: "A mock of Coze", "扣子模拟服务";
    front_text: "This is a mock of Coze's auth server for development. Nothing here reaches the real service.",
        "这是扣子授权服务的模拟，用于开发，与真实服务没有任何连接。";

    // consent
    authorize: "Authorize", "授权";
    asks: "asks for access", "请求授权";
    acts_for: "If you approve, it can act for", "同意后，该应用可以代表以下用户操作：";
    acts_for_end: ".", "。";
    who: "Approve as", "以此用户身份同意";
    client_id: "Client id", "客户端 ID";
    kind: "Kind", "类型";
    challenge: "Challenge", "质询方式";
    workspace: "Workspace", "工作空间";
    all_workspaces: "all of the user's", "该用户的全部空间";
    returns_to: "Returns to", "返回地址";
    twice: "A fault of the test: this page has already requested the address once, as a picture, and goes there now.",
        "测试故障：本页已以图片方式请求过该地址一次，现在将再次前往。";
    approve: "Approve", "同意";
    deny: "Deny", "拒绝";
    cope: "See how the app copes", "测试应用如何应对异常";
    cope_note: "Answers that a user cannot cause, and that an app has to handle.",
        "真实用户不会这样做，但应用必须能够应对。";
    wrong_state: "Approve, but return a wrong state", "同意，但返回错误的 state";
    which_error: "Error", "错误";
    return_error: "Return this error", "返回此错误";

    // devices
    connect: "Connect a device", "连接设备";
    type_code: "Type the code that your device shows.", "请输入设备上显示的代码。";
    code: "Code", "代码";
    go_on: "Continue", "继续";
    your_device: "Is this your device?", "这是你的设备吗？";
    asks_for: "asks for access for", "请求访问以下用户的账号：";
    asks_for_end: ". Approve only if your device shows this code:",
        "。仅当你的设备显示以下代码时才同意：";
    asks_as: "asks for access. Approve only if your device shows this code:",
        "请求访问账号。仅当你的设备显示以下代码时才同意：";
    unknown_code: "No device is waiting with this code. Check it and type it again.",
        "没有设备在等待此代码，请检查后重新输入。";
    expired_code: "This code has expired. Start again on the device.", "此代码已过期，请在设备上重新开始。";
    used_code: "This code has been used already. Start again on the device.", "此代码已被使用，请在设备上重新开始。";
    connected: "Device connected", "设备已连接";
    connected_text: "Your device goes on by itself in a moment. You can close this page.",
        "设备稍后会自动继续，你可以关闭此页面。";
    denied: "Device denied", "已拒绝设备";
    denied_text: "The device got no access. You can close this page.", "设备没有获得访问权限，你可以关闭此页面。";

    // what went wrong
    undecided: "Nothing was decided", "尚未作出决定";
    undecided_text: "Approve or deny?", "同意还是拒绝？";
    no_user: "This user does not exist.", "没有这个用户。";
    invalid: "This page is no longer valid", "此页面已失效";
    nobody_waits: "No request is waiting for this link. Go back to the app and start again.",
        "此链接没有对应的请求，请返回应用重新开始。";
    decided_already: "This request has been decided already. Go back to the app and start again.",
        "此请求已处理，请返回应用重新开始。";
    waited_too_long: "This request has expired. Go back to the app and start again.",
        "此请求等待时间过长，请返回应用重新开始。";
    oauth_error: "OAuth error", "OAuth 错误";
    refused_text: "The app sent you here with a request that cannot be granted.", "应用发来的请求无法被授权。";
    scripted_text: "A script of this mock gave this answer; no rule has looked at the request.",
        "这是模拟服务的脚本给出的应答，没有规则检查过此请求。";
    error: "Error", "错误";
    message: "Message", "消息";
    rule: "Rule", "规则";
    meaning: "Meaning", "含义";
    expected: "Expected", "应为";
    actual: "Actual", "实际";
    fix: "Fix", "解决办法";

    // the guard
    guard_title: "The mock does not answer this request", "模拟服务未受理此请求";
    guard_twice: "The request has two Host or two Origin headers.", "请求带有两个 Host 或两个 Origin 标头。";
    guard_twice_fix: "Send each of them once.", "每个标头只发送一次。";
    guard_host: "The request is for a name that is not the mock's: a page of another site can use such a name to reach this machine.",
        "请求所用的主机名不属于此模拟服务：其他网站的页面可能借此访问本机。";
    guard_host_fix: "Use localhost or 127.0.0.1; or start the mock with --public-url or --allowed-hosts and this name.",
        "请使用 localhost 或 127.0.0.1，或在启动时用 --public-url 或 --allowed-hosts 指定此名称。";
    guard_origin: "The request comes from a page whose origin is not allowed.", "请求来自未获允许的源（Origin）的页面。";
    guard_origin_fix: "Pages of this machine are allowed by default; --allowed-origins lists the origins of others. The control plane answers only to pages of this machine.",
        "默认只允许本机的页面；其他源请用 --allowed-origins 列出。控制接口只应答本机的页面。";
    guard_embedded: "A page asked for this address as an image, script, frame or beacon, as no client of Coze does.",
        "页面以图片、脚本、框架或信标的方式请求此地址，扣子的客户端不会这样做。";
    guard_embedded_fix: "Call it with fetch in its default mode, cors.", "请使用默认模式（cors）的 fetch 调用。";
    guard_opened: "A browser opened an address that is for programs.", "浏览器打开了供程序调用的地址。";
    guard_opened_fix: "Call it from your program. The dashboard at /_mock/ shows the requests.",
        "请在程序中调用。位于 /_mock/ 的控制台会显示收到的请求。";
    guard_form: "The form is not one of the mock's own pages.", "该表单不来自此模拟服务的页面。";
    guard_form_fix: "Open the page of the mock, and decide there.", "请打开模拟服务的页面，在那里操作。";
    guard_new_world: "The world does not exist, and a page of another site cannot make one.",
        "没有这个世界，而其他网站的页面不能创建世界。";
    guard_new_world_fix: "Make it first, by a request of your program or POST /_mock/v1/worlds; or allow the page with --allowed-origins.",
        "请先创建：由程序发出一个请求，或调用 POST /_mock/v1/worlds；也可用 --allowed-origins 允许该页面的源。";

    // dashboard
    dashboard: "Dashboard", "控制台";
    back: "Back to the dashboard", "返回控制台";
    sections: "Sections", "分区";
    worlds: "Worlds", "世界";
    first_world: "first", "默认";
    clock: "Clock", "时钟";
    frozen: "frozen", "已冻结";
    running: "running", "运行中";
    minute: "+1 min", "+1 分钟";
    quarter: "+15 min", "+15 分钟";
    hour: "+1 h", "+1 小时";
    day: "+1 day", "+1 天";
    freeze: "Freeze", "冻结";
    real: "Real time", "真实时间";
    journal: "Journal", "请求日志";
    live_note: "New requests appear at the end as they arrive.", "新请求到达后会显示在末尾。";
    paused_note: "Paused: these are the newest requests when this page was loaded.",
        "已暂停：以下是页面加载时的最新请求。";
    pause: "Pause", "暂停";
    go_live: "Go live", "实时显示";
    reload: "Reload", "刷新";
    busy: "Too many pages are live; reload to see more.", "实时页面过多，请刷新查看。";
    lost: "Older requests are no longer kept.", "更早的请求已不再保留。";
    was_reset: "The world was reset; reload the page.", "世界已重置，请刷新页面。";
    nothing_came: "No requests yet.", "尚未收到请求。";
    number: "No.", "序号";
    time: "Time (UTC)", "时间 (UTC)";
    request: "Request", "请求";
    client: "Client", "客户端";
    answer: "Answer", "应答";
    devices: "Waiting devices", "等待中的设备";
    no_devices: "No device is waiting.", "没有等待中的设备。";
    user_code: "User code", "用户代码";
    app: "App", "应用";
    expires: "Expires (UTC)", "过期时间 (UTC)";
    actions: "Actions", "操作";
    expire: "Expire", "使过期";
    tokens: "Tokens", "令牌";
    no_tokens: "No code or token was issued.", "尚未签发授权码或令牌。";
    tokens_note: "By fingerprint; tokens stand below the code or token from which they were made.",
        "以指纹显示；由授权码或令牌换得的令牌列在其下。";
    authorization_code: "authorization code", "授权码";
    device_code: "device code", "设备码";
    access_token: "access token", "访问令牌";
    refresh_token: "refresh token", "刷新令牌";
    id_token: "id token", "身份令牌";
    something: "something older", "更早的凭据";
    live: "live", "有效";
    spent: "spent", "已使用";
    revoked: "revoked", "已吊销";
    denied_state: "denied", "已拒绝";
    expired: "expired", "已过期";
    evicted: "evicted", "已淘汰";
    made_by: "made by", "签发请求";
    spent_by: "spent by", "使用请求";
    until: "until", "有效至";
    faults: "Faults", "故障";
    no_faults: "No fault is set.", "没有设置故障。";
    scripts: "Scripts", "脚本";
    no_scripts: "No script is running.", "没有运行中的脚本。";
    gates: "Gates", "闸门";
    no_gates: "No gate is set.", "没有设置闸门。";
    id: "Id", "编号";
    acts_on: "Requests", "作用于";
    matched: "Matched", "匹配次数";
    fired: "Fired", "触发次数";
    waiting: "Waiting", "等待数";
    remove: "Remove", "移除";
    release: "Release all", "全部放行";
    endpoint: "Endpoint", "端点";
    add_fault: "Fail the next request with", "让下一个请求这样失败";
    headers: "Headers", "请求头";
    body: "Body", "请求体";
    assertion: "Assertion", "断言";
    grant: "Grant", "授权类型";
    presented: "Presented", "出示";
    issued: "Issued", "签发";
    explanation: "Explanation of the answer", "应答原因";
    evidence: "Evidence", "依据";
    relaxed: "Rules that are off", "已关闭的规则";
    unknown_request: "This request is not in the journal", "日志中没有此请求";
    unknown_request_text: "The journal has evicted it, or never had it.", "它已不再保留，或从未到达。";
    not_done: "The action was not done", "操作未完成";
    not_there: "It no longer exists.", "目标已不存在。";
    not_understood: "The form was not understood.", "无法理解此表单。";
    no_room: "The maximum number is reached; remove one first.", "数量已达上限，请先移除一个。";
    sign_in: "Sign in", "请登录";
    sign_in_text: "The control plane requires the admin token: enter any user name, and the token as the password.",
        "控制面需要管理令牌：用户名任意，密码为管理令牌。";
    wrong_host: "Wrong address", "地址不正确";
    wrong_host_text: "The control plane answers only requests to names of this machine and to the public URL's host.",
        "控制面只响应本机名称和公开地址的主机名。";

    // the shadow
    shadow: "Shadow", "影子";
    shadow_note: "It passes on what a program and the upstream send each other, and compares the answers with the mock's rules.",
        "它转发程序与上游之间的请求和应答，并与模拟服务的规则比较。";
    exchanges: "Exchanges", "请求与应答";
    text: "Text", "文本";
    judged: "judged", "已判断";
    not_of_the_mock: "passed on, and nothing that the mock has", "已转发，模拟服务没有此调用";
    without_answer: "without an answer", "没有应答";
    refused_by_shadow: "refused by the shadow", "被影子拒绝";
    differs: "Differs", "不同";
    no_difference: "No difference was seen.", "没有看到不同。";
    agrees: "Agrees", "一致";
    no_agreement: "No rule was seen.", "还没有规则被展示。";
    not_judged: "Not judged", "未判断";
    all_judged: "Everything was judged.", "全部已判断。";
    where_seen: "Seen in", "所在";
    what_differs: "What", "内容";
    by_mock: "The mock", "模拟服务";
    by_upstream: "The upstream", "上游";
    reason: "Reason", "原因";
    times: "Times", "次数";
}
