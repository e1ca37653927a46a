module slipway.test/lab/pause

go 1.25.0
