package c

import _ "example.com/circle/a"
