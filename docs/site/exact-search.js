// The search takes each word as the beginning of others, too: whole words count more, so that
// "Tensor.log" finds Tensor.log before Tensor.logical_and. A word that says how it counts stays.
{
  const QUERY = 2 // of the theme's messages to its search, that which asks
  const post = Worker.prototype.postMessage
  Worker.prototype.postMessage = function (message, ...more) {
    if (message?.type === QUERY && !/["+~^*:]/.test(message.data)) {
      const words = message.data.split(/[\s.,()[\]=!`/]+/).filter(Boolean)
      message = { ...message, data: words.map(word => `${word}^8 ${word}`).join(" ") }
    }
    return post.call(this, message, ...more)
  }
}
