package a

import _ "example.com/circle/b"
