// The part of a session that gives its connection to a tunnel, for good.
#include "http/session.hpp"
#include "http/tunnel_pump.hpp"

namespace fallow::http {

namespace asio = boost::asio;

asio::awaitable<bool> Session::send_tunnel() {
    exchange_.keeps_alive = false;
    write_head_of_reply();
    const IoOutcome outcome = co_await connection_->write(out_);
    exchange_.record.bytes_out = out_.size();
    if (outcome == IoOutcome::done) {
        TunnelPump pump(connection_, tunnel_of(exchange_.reply), context_.is_draining);
        co_await pump.run();
        exchange_.record.bytes_in += pump.bytes_in();
        exchange_.record.bytes_out += pump.bytes_out();
    }
    co_return false;
}

}  // namespace fallow::http
