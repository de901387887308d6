#include "http/tunnel_pump.hpp"

#include <utility>

namespace fallow::http {

namespace asio = boost::asio;

TunnelPump::TunnelPump(std::shared_ptr<Connection> connection, std::shared_ptr<TunnelEnd> end,
                       const std::atomic<bool>& is_stopping)
    : connection_(std::move(connection)), end_(std::move(end)), is_stopping_(is_stopping) {}

asio::awaitable<void> TunnelPump::run() {
    Connection* const connection = connection_.get();
    end_->on_change([connection] { connection->wake(); });
    moved_at_ = Clock::now();
    connection_->clear_deadline();
    while (move())
        co_await connection_->wait(tunnel_idle_ms);
    end_->on_change({});
    end_->close();
    co_await connection_->stop_transfers();
}

/// Does what can be done now; false when the tunnel is over.
bool TunnelPump::move() {
    receive();
    if (is_stopping_) return false;
    // What has come in before the other side went still goes on its way.
    if (connection_->is_gone()) return !connection_->input().empty() && !end_->is_closed();
    const bool was_closed = end_->is_closed();
    send();
    if (was_closed && !connection_->is_sending()) return false;
    return Clock::now() - moved_at_ < std::chrono::milliseconds(tunnel_idle_ms);
}

void TunnelPump::receive() {
    const std::size_t count = end_->write(connection_->input());
    if (count > 0) {
        connection_->consume(count);
        bytes_in_ += count;
        moved_at_ = Clock::now();
    }
    if (connection_->input().empty() && !connection_->is_gone()) connection_->begin_receive();
}

void TunnelPump::send() {
    if (connection_->is_sending()) return;
    std::string bytes = end_->take();
    if (bytes.empty()) return;
    bytes_out_ += bytes.size();
    moved_at_ = Clock::now();
    connection_->begin_send(std::move(bytes));
}

}  // namespace fallow::http
