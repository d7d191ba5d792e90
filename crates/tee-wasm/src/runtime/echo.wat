;; A Trusted Application that answers every command with its input.
(component
  (core module $program
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "invoke") (param $command i32) (param $input i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 0)) ;; ok
      (i32.store (i32.const 20) (local.get $input))
      (i32.store (i32.const 24) (local.get $length))
      (i32.const 16)))
  (core instance $program (instantiate $program))
  (type $ta-error' (enum "unknown-command" "bad-input" "failed"))
  (export $ta-error "ta-error" (type $ta-error'))
  (func $invoke (param "command" u32) (param "input" (list u8)) (result (result (list u8) (error $ta-error)))
    (canon lift (core func $program "invoke") (memory $program "memory")
      (realloc (func $program "realloc"))))
  (export "invoke" (func $invoke)))
