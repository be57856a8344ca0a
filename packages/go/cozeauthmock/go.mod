module coze-auth.example/cozeauthmock

go 1.22
