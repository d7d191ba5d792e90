;; A Trusted Application that does what its command number says, good or bad: for tests.
(component
  (import "teep:ta/storage@0.1.0" (instance $storage
    (type $error' (enum "full" "too-large" "unavailable"))
    (export "error" (type $error (eq $error')))
    (export "get" (func (param "name" string) (result (result (option (list u8)) (error $error)))))
    (export "put" (func (param "name" string) (param "value" (list u8))
      (result (result (error $error)))))
    (export "delete" (func (param "name" string) (result (result (error $error)))))))
  (import "teep:ta/random@0.1.0" (instance $random
    (export "bytes" (func (param "length" u32) (result (list u8))))))
  (import "teep:ta/log@0.1.0" (instance $log
    (type $level' (enum "error" "warning" "info" "debug"))
    (export "level" (type $level (eq $level')))
    (export "message" (func (param "level" $level) (param "text" string)))))

  ;; Page 0 is for constants and results; all allocations lie at 64 KiB, one over the other.
  (core module $memory
    (memory (export "memory") 3)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $get (canon lower (func $storage "get") (memory $mem) (realloc $realloc)))
  (core func $put (canon lower (func $storage "put") (memory $mem)))
  (core func $delete (canon lower (func $storage "delete") (memory $mem)))
  (core func $random (canon lower (func $random "bytes") (memory $mem) (realloc $realloc)))
  (core func $message (canon lower (func $log "message") (memory $mem)))

  (core module $program
    (import "tee" "memory" (memory 3))
    (import "tee" "get" (func $get (param i32 i32 i32)))
    (import "tee" "put" (func $put (param i32 i32 i32 i32 i32)))
    (import "tee" "delete" (func $delete (param i32 i32 i32)))
    (import "tee" "random" (func $random (param i32 i32)))
    (import "tee" "message" (func $message (param i32 i32 i32)))
    (data (i32.const 100) "value")
    (global $calls (mut i32) (i32.const 0))

    (func $answer (param $at i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get $at))
      (i32.store (i32.const 24) (local.get $length))
      (i32.const 16))
    (func $fail (param $error i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 1))
      (i32.store8 (i32.const 20) (local.get $error))
      (i32.const 16))
    (func $recurse (param $depth i32) (result i32)
      (i32.add (i32.const 1) (call $recurse (i32.add (local.get $depth) (i32.const 1)))))
    (func $forever (loop $again (br $again)))
    (func $grow (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))))

    (func (export "invoke") (param $command i32) (param $input i32) (param $length i32) (result i32)
      (local $count i32)
      ;; 1: puts the input under "value"; answers result and error as two bytes
      (if (i32.eq (local.get $command) (i32.const 1)) (then
        (call $put (i32.const 100) (i32.const 5) (local.get $input) (local.get $length) (i32.const 32))
        (return (call $answer (i32.const 32) (i32.const 2)))))
      ;; 2: answers what is under "value"; bad-input if nothing, failed if it cannot be read
      (if (i32.eq (local.get $command) (i32.const 2)) (then
        (call $get (i32.const 100) (i32.const 5) (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then (return (call $fail (i32.const 2)))))
        (if (i32.eqz (i32.load8_u (i32.const 36))) (then (return (call $fail (i32.const 1)))))
        (return (call $answer (i32.load (i32.const 40)) (i32.load (i32.const 44))))))
      ;; 3: deletes "value"; answers result and error as two bytes
      (if (i32.eq (local.get $command) (i32.const 3)) (then
        (call $delete (i32.const 100) (i32.const 5) (i32.const 32))
        (return (call $answer (i32.const 32) (i32.const 2)))))
      ;; 4: never ends
      (if (i32.eq (local.get $command) (i32.const 4)) (then (call $forever)))
      ;; 5: takes memory until there is none, then gives up
      (if (i32.eq (local.get $command) (i32.const 5)) (then (call $grow) unreachable))
      ;; 6: gives up
      (if (i32.eq (local.get $command) (i32.const 6)) (then unreachable))
      ;; 7: as many random bytes as the input, a 32-bit number, says
      (if (i32.eq (local.get $command) (i32.const 7)) (then
        (call $random (i32.load (local.get $input)) (i32.const 32))
        (return (call $answer (i32.load (i32.const 32)) (i32.load (i32.const 36))))))
      ;; 8: logs the input 100 times
      (if (i32.eq (local.get $command) (i32.const 8)) (then
        (loop $again
          (call $message (i32.const 2) (local.get $input) (local.get $length))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $count) (i32.const 100))))
        (return (call $answer (i32.const 0) (i32.const 0)))))
      ;; 9: calls itself without end
      (if (i32.eq (local.get $command) (i32.const 9)) (then
        (return (call $answer (i32.const 0) (call $recurse (i32.const 0))))))
      ;; 10: reads outside of its memory
      (if (i32.eq (local.get $command) (i32.const 10)) (then
        (return (call $answer (i32.const 0) (i32.load (i32.const -8))))))
      ;; 11: asks for random bytes without end: few instructions, much time
      (if (i32.eq (local.get $command) (i32.const 11)) (then
        (loop $again (call $random (i32.const 65536) (i32.const 32)) (br $again))))
      ;; 12: an answer of 2 MiB
      (if (i32.eq (local.get $command) (i32.const 12)) (then
        (drop (memory.grow (i32.const 32)))
        (return (call $answer (i32.const 0) (i32.const 2097152)))))
      ;; 13: an answer that lies outside of its memory
      (if (i32.eq (local.get $command) (i32.const 13)) (then
        (return (call $answer (i32.const -65536) (i32.const 1000)))))
      ;; 14: how often this instance was called, as one byte
      (if (i32.eq (local.get $command) (i32.const 14)) (then
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store8 (i32.const 32) (global.get $calls))
        (return (call $answer (i32.const 32) (i32.const 1)))))
      ;; 15: one cheap instruction that fills much memory, without end
      (if (i32.eq (local.get $command) (i32.const 15)) (then
        (loop $again
          (memory.fill (i32.const 65536) (i32.const 0) (i32.const 131072))
          (br $again))))
      ;; 16: a result that is neither ok nor error
      (if (i32.eq (local.get $command) (i32.const 16)) (then
        (i32.store8 (i32.const 16) (i32.const 9))
        (return (i32.const 16))))
      (call $fail (i32.const 0))))
  (core instance $program (instantiate $program (with "tee" (instance
    (export "memory" (memory $mem))
    (export "get" (func $get))
    (export "put" (func $put))
    (export "delete" (func $delete))
    (export "random" (func $random))
    (export "message" (func $message))))))

  (type $ta-error' (enum "unknown-command" "bad-input" "failed"))
  (export $ta-error "ta-error" (type $ta-error'))
  (func $invoke (param "command" u32) (param "input" (list u8)) (result (result (list u8) (error $ta-error)))
    (canon lift (core func $program "invoke") (memory $mem) (realloc $realloc)))
  (export "invoke" (func $invoke)))
