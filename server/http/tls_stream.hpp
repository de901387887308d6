// TLS over a socket that OpenSSL reads and writes by itself. Asio's own stream keeps two pairs
// of buffers of one record each beside OpenSSL's, some 70 KiB that every idle connection would hold; here
// it holds none, and bytes are copied once less.
//
// It has the asynchronous operations of Asio's ssl::stream. One read and one write may be under way at a
// time.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream_base.hpp>

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace fallow::http {

class TlsStream {
  public:
    using Socket = boost::asio::ip::tcp::socket;
    using executor_type = Socket::executor_type;
    using lowest_layer_type = Socket;

    /// Throws std::runtime_error when OpenSSL has no memory.
    TlsStream(Socket socket, SSL_CTX* context);

    [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
    [[nodiscard]] SSL* native_handle() { return ssl_.get(); }
    [[nodiscard]] Socket& next_layer() { return socket_; }

    /// The socket has to be connected by then.
    template <class Token>
    auto async_handshake(boost::asio::ssl::stream_base::handshake_type side, Token&& token) {
        attach(side);
        return begin<void(boost::system::error_code)>(&TlsStream::handshake, {},
                                                      std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        const boost::asio::mutable_buffer into = *boost::asio::buffer_sequence_begin(buffers);
        return begin<void(boost::system::error_code, std::size_t)>(
            &TlsStream::read, {into.data(), into.size()}, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        const boost::asio::const_buffer from = *boost::asio::buffer_sequence_begin(buffers);
        // Read only: one type serves both directions.
        return begin<void(boost::system::error_code, std::size_t)>(
            &TlsStream::write, {const_cast<void*>(from.data()), from.size()}, std::forward<Token>(token));
    }
    /// Says goodbye, and waits for the other side's.
    template <class Token>
    auto async_shutdown(Token&& token) {
        return begin<void(boost::system::error_code)>(&TlsStream::shutdown, {}, std::forward<Token>(token));
    }

  private:
    struct Bytes {
        void* data = nullptr;
        std::size_t size = 0;
    };
    enum class Need { nothing, readable, writable };
    /// What one call of OpenSSL came to.
    struct Step {
        Need need = Need::nothing;
        boost::system::error_code error;
        std::size_t bytes = 0;
    };
    using Call = Step (TlsStream::*)(Bytes);

    /// Calls OpenSSL, waits for the socket as long as it asks to, and completes.
    template <class Signature>
    struct Operation {
        TlsStream& stream;
        Call call;
        Bytes bytes;
        Step step = {};
        bool has_waited = false;
        bool is_done = false;

        template <class Self>
        void operator()(Self& self, const boost::system::error_code& error = {}) {
            if (!is_done) {
                if (error)
                    step = {Need::nothing, error, 0};
                else
                    step = (stream.*call)(bytes);
                if (step.need != Need::nothing) {
                    has_waited = true;
                    const auto what = step.need == Need::readable ? Socket::wait_read : Socket::wait_write;
                    return stream.socket_.async_wait(what, std::move(self));
                }
                is_done = true;
                // Whoever began the operation must not be called from within its beginning.
                if (!has_waited) return boost::asio::post(stream.get_executor(), std::move(self));
            }
            if constexpr (std::is_same_v<Signature, void(boost::system::error_code)>)
                self.complete(step.error);
            else
                self.complete(step.error, step.bytes);
        }
    };

    template <class Signature, class Token>
    auto begin(Call call, Bytes bytes, Token&& token) {
        return boost::asio::async_compose<Token, Signature>(Operation<Signature>{*this, call, bytes}, token,
                                                            socket_);
    }

    void attach(boost::asio::ssl::stream_base::handshake_type side);
    Step handshake(Bytes unused);
    Step read(Bytes into);
    Step write(Bytes from);
    Step shutdown(Bytes unused);
    [[nodiscard]] Step step_of(int result) const;

    struct Freer {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };

    Socket socket_;
    std::unique_ptr<SSL, Freer> ssl_;
};

}  // namespace fallow::http
