package wire

import _ "example.com/house/internal/transport" // a layer above
