package lib

func generated() {}
