module github.com/hotline-go/hotline

go 1.25.0
