// A stream that ends by itself within seconds, so that its connection is worth keeping for a next request.
// A reader that goes away is noticed by the next write alone.
#pragma once

#include "http/message.hpp"

namespace fallow::http {

class ShortStream : public ByteStream {};

}  // namespace fallow::http
