// How many TLS handshakes are under way at once. When ten thousand agents come back together, each would
// otherwise wait for all the others' signatures, give up, and begin anew: all the work would be for peers
// that have gone. The newest waits least, and who has gone costs nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace fallow::http {

class HandshakeGate {
  public:
    /// A place: the handshake is over when the last copy is gone.
    using Place = std::shared_ptr<void>;
    using Begin = std::function<void(Place)>;

    explicit HandshakeGate(std::size_t under_way_max) : under_way_max_(under_way_max) {}

    /// `begin` is called once, here or on the thread that frees a place. From any thread.
    void enter(Begin begin);
    /// Everybody may come in: the server stops.
    void open();

  private:
    void let_in();
    void leave();

    std::mutex mutex_;
    std::size_t under_way_max_;
    std::size_t under_way_ = 0;
    bool is_letting_in_ = false;  ///< some thread does, and looks again before it ends
    std::vector<Begin> waiting_;
};

}  // namespace fallow::http
