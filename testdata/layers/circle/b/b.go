package b

import _ "example.com/circle/c"
