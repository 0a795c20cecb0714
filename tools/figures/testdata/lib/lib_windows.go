package lib

var windows = true
