// The part of a session that lets a request through to a program in a job.
#include "http/guest_relay.hpp"
#include "http/session.hpp"

namespace fallow::http {

namespace asio = boost::asio;

/// For the access log alone: the client has gone before there was a reply.
constexpr int status_of_no_reply = 499;

/// A body that was to be relayed and that nobody has asked for is in the way of the next request.
void Session::leave_relayed_body() {
    const bool has_reader = !exchange_.limit.is_relayed || guest_of(exchange_.reply) != nullptr;
    if (!has_reader && !skip_buffered_body()) exchange_.keeps_alive = false;
}

asio::awaitable<bool> Session::send_relayed() {
    const RequestHead& head = exchange_.head;
    const RelayedBody body{head.content_length, head.is_chunked, head.expects_continue};
    const std::shared_ptr<GuestLink> link = guest_of(exchange_.reply);
    const GuestLimits& limits = context_.config.limits.guest;
    GuestRelay relay(connection_, link, body, exchange_.keeps_alive, limits, context_.is_draining);
    co_await relay.run();
    exchange_.record.bytes_in += relay.bytes_in();
    exchange_.record.bytes_out += relay.bytes_out();
    exchange_.reply.status = relay.status() == 0 ? status_of_no_reply : relay.status();
    if (connection_->is_gone()) co_return false;
    if (relay.refusal()) {
        refuse_exchange(*relay.refusal());
        co_return co_await send_plain_reply();
    }
    if (relay.keeps_link()) guest_ = link;
    co_return relay.keeps_connection();
}

}  // namespace fallow::http
