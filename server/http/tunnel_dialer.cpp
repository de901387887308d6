#include "http/tunnel_dialer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "http/connection.hpp"
#include "http/peer_wire.hpp"
#include "http/tunnel_pump.hpp"

namespace fallow::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::int64_t dial_timeout_ms = 5000;

/// One tunnel to a peer, from the dialling to its end.
class Dialled : public std::enable_shared_from_this<Dialled> {
  public:
    Dialled(asio::io_context& io, const PeerSettings& peer, Request request, std::function<void()> on_close,
            TunnelDialer::Done done, const std::atomic<bool>& is_stopping)
        : address_(split_peer_address(peer.address)),
          request_(std::move(request)),
          on_close_(std::move(on_close)),
          done_(std::move(done)),
          is_stopping_(is_stopping),
          tls_(make_peer_context(peer).release()),
          resolver_(io),
          connection_(std::make_shared<Connection>(tcp::socket(io), tls_, limits_)) {}

    asio::awaitable<void> run() {
        connection_->set_deadline(dial_timeout_ms);
        const bool is_reached = co_await reach();
        if (is_reached) co_await exchange();
        answer(std::nullopt);
        co_await connection_->close_lingering();
    }

    void cut() {
        resolver_.cancel();
        connection_->cut();
    }
    void answer(std::optional<Reply> reply) {
        if (const auto done = std::exchange(done_, nullptr)) done(std::move(reply));
    }

  private:
    asio::awaitable<bool> reach() {
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        auto found = co_await resolver_.async_resolve(address_.first, address_.second, token);
        if (error) co_return false;
        const IoOutcome connected = co_await connection_->connect(std::move(found));
        if (connected != IoOutcome::done) co_return false;
        const std::string head = peer_request_head(request_, true);
        const IoOutcome written = co_await connection_->write(head);
        connection_->set_deadline(dial_timeout_ms);
        co_return written == IoOutcome::done;
    }

    asio::awaitable<void> exchange() {
        std::size_t end = std::string_view::npos;
        while ((end = connection_->input().find("\r\n\r\n")) == std::string_view::npos) {
            if (connection_->input().size() > peer_head_bytes_max) co_return;
            const IoOutcome outcome = co_await connection_->read_more();
            if (outcome != IoOutcome::done) co_return;
        }
        PeerReplyHead head = parse_peer_reply(connection_->input().substr(0, end));
        connection_->consume(end + 4);
        if (head.reply.status == 101) co_return co_await join(std::move(head.reply));
        while (connection_->input().size() < head.body_bytes) {
            const IoOutcome outcome = co_await connection_->read_more();
            if (outcome != IoOutcome::done) co_return;
        }
        head.reply.body = connection_->input().substr(0, head.body_bytes);
        answer(std::move(head.reply));
    }

    asio::awaitable<void> join(Reply reply) {
        auto ends = make_tunnel(std::move(on_close_));
        reply.headers.clear();
        reply.stream = std::move(ends.first);
        answer(std::move(reply));
        TunnelPump pump(connection_, std::move(ends.second), is_stopping_);
        co_await pump.run();
    }

    const std::pair<std::string, std::string> address_;
    const Request request_;
    std::function<void()> on_close_;
    TunnelDialer::Done done_;
    const std::atomic<bool>& is_stopping_;
    const ServerLimits limits_;
    asio::ssl::context tls_;
    tcp::resolver resolver_;
    std::shared_ptr<Connection> connection_;
};

}  // namespace

struct TunnelDialer::Impl {
    asio::io_context io;
    asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
    std::atomic<bool> is_stopping = false;
    std::set<std::shared_ptr<Dialled>> dialled;  ///< on the dialer's thread
    std::thread thread;

    void begin(const std::shared_ptr<Dialled>& one) {
        if (is_stopping) return one->answer(std::nullopt);
        dialled.insert(one);
        const auto on_end = [this, one](std::exception_ptr) {
            one->answer(std::nullopt);
            one->cut();
            dialled.erase(one);
        };
        asio::co_spawn(io, one->run(), on_end);
    }
};

TunnelDialer::TunnelDialer() : impl_(std::make_unique<Impl>()) {
    impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

TunnelDialer::~TunnelDialer() {
    stop();
}

void TunnelDialer::dial(PeerSettings peer, Request request, std::function<void()> on_close, Done done) {
    const auto one = std::make_shared<Dialled>(impl_->io, peer, std::move(request), std::move(on_close),
                                               std::move(done), impl_->is_stopping);
    asio::post(impl_->io, [impl = impl_.get(), one] { impl->begin(one); });
}

void TunnelDialer::stop() {
    if (impl_->is_stopping.exchange(true)) return;
    asio::post(impl_->io, [impl = impl_.get()] {
        for (const auto& one : impl->dialled)
            one->cut();
        impl->work.reset();
    });
    impl_->thread.join();
}

}  // namespace fallow::http
