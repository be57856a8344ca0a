//! What a browser is answered: pages in English and Chinese, which ask for nothing else and hold nothing of the request.

use std::fmt::Write as _;

/// An answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Page {
    /// The callback has decided: to the page that says so, at an address without the code.
    SeeOther(&'static str),
    Approved,
    Refused,
    NotYet,
    OfAnotherLogin,
    TooLate,
    Unreadable,
    OnlyInATab,
    NotFound,
    OnlyGet,
    TooSlow,
    TooLong,
}

impl Page {
    /// Status, and title and text in English and in Chinese.
    fn parts(self) -> (&'static str, [&'static str; 4]) {
        match self {
            Self::SeeOther(_) => (
                "303 See Other",
                [
                    "One moment",
                    "The login goes on.",
                    "请稍候",
                    "登录正在继续。",
                ],
            ),
            Self::Approved => (
                "200 OK",
                [
                    "Coze has answered",
                    "Close this tab and go back to the program. It says whether you are logged in.",
                    "扣子已答复",
                    "请关闭此标签页，回到程序。程序会告诉您登录是否成功。",
                ],
            ),
            Self::Refused => (
                "200 OK",
                [
                    "You are not logged in",
                    "The authorization was refused. Close this tab and go back to the program. It says why.",
                    "未登录",
                    "授权被拒绝。请关闭此标签页，回到程序。程序会说明原因。",
                ],
            ),
            Self::NotYet => (
                "404 Not Found",
                [
                    "This page is of an earlier login",
                    "Close this tab. The login that waits now has a tab of its own.",
                    "此页面属于之前的登录",
                    "请关闭此标签页。当前的登录有自己的标签页。",
                ],
            ),
            Self::OfAnotherLogin => (
                "400 Bad Request",
                [
                    "This tab is of another login",
                    "Nothing was done with it. Close this tab. The login that waits now has a tab of its own.",
                    "此标签页属于另一次登录",
                    "未作任何处理。请关闭此标签页。当前的登录有自己的标签页。",
                ],
            ),
            Self::TooLate => (
                "410 Gone",
                [
                    "This login is over",
                    "It took too long. Close this tab, go back to the program and log in again.",
                    "本次登录已结束",
                    "等待时间过长。请关闭此标签页，回到程序重新登录。",
                ],
            ),
            Self::Unreadable => (
                "400 Bad Request",
                [
                    "This is not a callback",
                    "The program waits for a login, and cannot read this request. Nothing was done with it.",
                    "这不是回调请求",
                    "程序正在等待登录，无法读取此请求，未作任何处理。",
                ],
            ),
            Self::OnlyInATab => (
                "400 Bad Request",
                [
                    "A login needs a tab of its own",
                    "The callback was asked for by a part of a page. Open the login in a tab. Nothing was done with this request.",
                    "登录需要单独的标签页",
                    "回调请求来自页面的一部分。请在标签页中打开登录。此请求未作任何处理。",
                ],
            ),
            Self::NotFound => (
                "404 Not Found",
                [
                    "Nothing is here",
                    "A program waits for a login on this port. It has no other pages.",
                    "这里没有页面",
                    "程序正在此端口等待登录，没有其他页面。",
                ],
            ),
            Self::OnlyGet => (
                "405 Method Not Allowed",
                [
                    "A callback is a GET",
                    "Coze sends the browser back with GET. Nothing was done with this request, and the login still waits.",
                    "回调必须使用 GET",
                    "扣子以 GET 方式返回浏览器。此请求未作任何处理，登录仍在等待。",
                ],
            ),
            Self::TooSlow => (
                "408 Request Timeout",
                [
                    "The request did not arrive in time",
                    "Nothing was done with it, and the login still waits.",
                    "请求未及时到达",
                    "未作任何处理，登录仍在等待。",
                ],
            ),
            Self::TooLong => (
                "431 Request Header Fields Too Large",
                [
                    "The request is too long",
                    "Nothing was done with it, and the login still waits.",
                    "请求过长",
                    "未作任何处理，登录仍在等待。",
                ],
            ),
        }
    }

    /// The whole answer over HTTP/1.1, and the end of its connection. HEAD has no body (RFC 9110 §9.3.2).
    pub(super) fn answer(self, has_body: bool) -> Vec<u8> {
        let (status, [title, text, title_zh, text_zh]) = self.parts();
        let body = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title} · {title_zh}</title>\n\
             <style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}</style>\n\
             <main>\n<h1>{title}</h1>\n<p>{text}</p>\n<section lang=\"zh-CN\">\n<h2>{title_zh}</h2>\n<p>{text_zh}</p>\n</section>\n</main>\n</html>\n"
        );
        let mut head = format!("HTTP/1.1 {status}\r\n");
        let more = match self {
            // `no-store` on a page would have Back and restored tabs ask for it again; here there is no page to show again.
            Self::SeeOther(to) => format!("Location: {to}\r\nCache-Control: no-store\r\n"),
            Self::OnlyGet => "Allow: GET\r\nCache-Control: no-cache\r\n".to_owned(),
            _ => "Cache-Control: no-cache\r\n".to_owned(),
        };
        // A String takes all that is written to it.
        let _ = write!(
            head,
            "{more}Content-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\r\n",
            body.len()
        );
        if has_body {
            head.push_str(&body);
        }
        head.into_bytes()
    }
}
